//! Dev-only: scripted peers, dialog files, a fake DNS, certificates, sample letters.
