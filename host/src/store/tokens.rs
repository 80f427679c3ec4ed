//! Where keys in tokens are: label, address and public half. The rest is in the token.

use redb::{
    ReadOnlyTable, ReadableDatabase, ReadableTable, TableDefinition, TableError, WriteTransaction,
};

use super::{Error, Store, broken};
use crate::pki::Key;
use crate::token;

type Row = (&'static str, &'static [u8]);

/// Label → URI, public key.
const TOKENS: TableDefinition<'_, &str, Row> = TableDefinition::new("tokens");

/// Writes what there is to write of a key in a token.
pub(super) fn save(transaction: &WriteTransaction, key: &Key) -> Result<(), Error> {
    let mut table = transaction.open_table(TOKENS).map_err(broken)?;
    let row = (key.uri().unwrap_or_default(), key.public_key());
    table.insert(key.label.as_str(), row).map_err(broken)?;
    Ok(())
}

impl Store {
    /// A key in a token, if there is one of this label.
    pub(super) fn token_key(&self, label: &str) -> Result<Option<Key>, Error> {
        let Some(table) = self.tokens()? else {
            return Ok(None);
        };
        let row = table.get(label).map_err(broken)?;
        Ok(match row.as_ref().map(|row| row.value()) {
            Some((uri, public)) => Some(token::find(uri, label, public)?),
            None => None,
        })
    }

    /// All keys in tokens, by label.
    pub(super) fn token_keys(&self) -> Result<Vec<Key>, Error> {
        let Some(table) = self.tokens()? else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for row in table.iter().map_err(broken)? {
            let (label, row) = row.map_err(broken)?;
            let (uri, public) = row.value();
            found.push(token::find(uri, label.value(), public)?);
        }
        Ok(found)
    }

    /// Forgets where a key in a token is. The token keeps it.
    pub fn forget_token_key(&self, label: &str) -> Result<(), Error> {
        let transaction = self.database.begin_write().map_err(broken)?;
        transaction
            .open_table(TOKENS)
            .map_err(broken)?
            .remove(label)
            .map_err(broken)?;
        transaction.commit().map_err(broken)
    }

    fn tokens(&self) -> Result<Option<ReadOnlyTable<&'static str, Row>>, Error> {
        let transaction = self.database.begin_read().map_err(broken)?;
        match transaction.open_table(TOKENS) {
            Ok(table) => Ok(Some(table)),
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(broken(error)),
        }
    }
}
