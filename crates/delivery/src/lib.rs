//! The one way out of the queue: plan, couriers, outcomes, bounces.
