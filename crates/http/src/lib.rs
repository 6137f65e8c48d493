//! HTTPS in small: fetch a page within limits, post a report, answer one request.
//!
//! [`Client`] asks one URL and gives back one answer: HTTP/1.1 over a connection of its own, with a certificate that is verified for the URL's
//! host. It follows no redirect, keeps no cookie, reads no proxy from the environment, unpacks nothing, and connects to no address inside
//! this network ([`Client::new`]): who writes a URL into the DNS must not be able to make us knock at our own doors. What the operator wrote may lead anywhere, inside the network without TLS too ([`Client::for_operator`]).
//!
//! [`answer`] serves one request of a connection and closes it.
//!
//! The library behind it is named here and nowhere else, but for the types of a request and an answer.

mod body;
mod client;
mod error;
mod io;
mod reach;
mod server;
mod settings;

pub use client::{Client, Limits, check_url};
pub use error::HttpError;
pub use hyper::header;
pub use hyper::{HeaderMap, Method, Request, Response, StatusCode};
pub use reach::is_public;
pub use server::{Asked, Page, answer};
pub use settings::Settings;
