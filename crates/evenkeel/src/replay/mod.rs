//! Importers for recorded market data.
