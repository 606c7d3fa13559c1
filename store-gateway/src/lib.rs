//! store-gateway.
