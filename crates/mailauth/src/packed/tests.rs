use flate2::write::DeflateEncoder;

use super::*;

/// A ZIP archive of one file as a program writes it that does not know the size beforehand (bit 3), or one that does.
fn zip(method: u8, flags: u8, content: &[u8], packed: &[u8]) -> Vec<u8> {
    let mut archive = b"PK\x03\x04\x14\0".to_vec();
    archive.extend([flags, 0, method, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let size = |octets: &[u8]| u32::try_from(octets.len()).unwrap().to_le_bytes();
    archive.extend(if flags & 8 == 0 { size(packed) } else { [0; 4] });
    archive.extend(if flags & 8 == 0 { size(content) } else { [0; 4] });
    archive.extend([5, 0, 2, 0]);
    archive.extend(b"r.xml\0\0");
    archive.extend(packed);
    archive.extend(b"PK\x01\x02 and so on");
    archive
}

fn deflated(content: &[u8]) -> Vec<u8> {
    let mut packed = DeflateEncoder::new(Vec::new(), Compression::default());
    packed.write_all(content).unwrap();
    packed.finish().unwrap()
}

#[test]
fn what_is_packed_comes_out_whichever_way() {
    let report = b"<feedback/>".repeat(9);
    let packed = deflated(&report);
    for (name, octets) in [
        ("not packed", report.clone()),
        ("gzip", pack(&report)),
        ("zip, deflated", zip(8, 0, &report, &packed)),
        ("zip, size behind it", zip(8, 8, &report, &packed)),
        ("zip, stored", zip(0, 0, &report, &report)),
    ] {
        assert_eq!(unpack(&octets, 1000).as_deref(), Ok(report.as_slice()), "{name}");
        assert_eq!(unpack(&octets, 50), Err(PackedError::TooLarge(50)), "{name}");
    }
}

#[test]
fn a_bomb_is_cut_off() {
    let bomb = vec![b' '; 64 << 20];
    for packed in [pack(&bomb), zip(8, 8, &bomb, &deflated(&bomb))] {
        assert!(packed.len() < 100_000);
        assert_eq!(unpack(&packed, 1 << 20), Err(PackedError::TooLarge(1 << 20)));
    }
}

#[test]
fn what_is_broken_or_strange_is_no_report() {
    let report = b"<feedback/>".repeat(9);
    let whole = [pack(&report), zip(8, 0, &report, &deflated(&report)), zip(0, 0, &report, &report)];
    for octets in &whole {
        for end in 4..40 {
            assert!(matches!(unpack(&octets[..end], 1000), Err(PackedError::Broken(_))), "{end} of {octets:?}");
        }
    }
    for (name, octets) in [
        ("encrypted", zip(8, 1, &report, &deflated(&report))),
        ("another method", zip(12, 0, &report, &report)),
        ("stored without a size", zip(0, 8, &report, &report)),
    ] {
        assert!(matches!(unpack(&octets, 1000), Err(PackedError::Broken(_))), "{name}");
    }
}
