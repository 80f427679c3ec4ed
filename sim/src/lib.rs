//! The card without a card.
