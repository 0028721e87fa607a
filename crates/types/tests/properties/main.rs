//! Properties of the types: each rule against a definition that does not share its code.

mod big;
mod codec;
mod decimal;
mod money;
mod valuation;
mod values;
