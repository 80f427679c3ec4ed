//! Asking servers: the HTTP client.

/// One exchange with a server.
pub mod http;
