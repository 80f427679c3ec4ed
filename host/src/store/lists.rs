//! Revocation lists that were fetched: a restart must not make them unknown.

use redb::{ReadableDatabase, ReadableTable, TableDefinition, TableError};

use super::{Error, Store, broken};
use crate::pki::Date;
use crate::pki::enrol::Answer;
use crate::pki::revocation::{Ledger, Link, Question};

type Row = (i64, &'static [u8], &'static [u8], &'static [u8]);

/// Place → when it came, a certificate that it is about, who signed that, the list.
const LISTS: TableDefinition<'_, &str, Row> = TableDefinition::new("lists");

impl Store {
    /// Keeps the list that a question was about.
    pub fn save_list(&self, question: &Question, list: &[u8], now: Date) -> Result<(), Error> {
        let link = question.link();
        let transaction = self.database.begin_write().map_err(broken)?;
        {
            let mut table = transaction.open_table(LISTS).map_err(broken)?;
            let row = (now.0, link.certificate, link.issuer, list);
            table
                .insert(question.ask.url.as_str(), row)
                .map_err(broken)?;
        }
        transaction.commit().map_err(broken)
    }

    /// All that is kept. What does not hold any more is left out: each list is judged as when it came.
    pub fn ledger(&self) -> Result<Ledger, Error> {
        let ledger = Ledger::default();
        let transaction = self.database.begin_read().map_err(broken)?;
        let table = match transaction.open_table(LISTS) {
            Ok(table) => table,
            Err(TableError::TableDoesNotExist(_)) => return Ok(ledger),
            Err(error) => return Err(broken(error)),
        };
        for row in table.iter().map_err(broken)? {
            let (place, value) = row.map_err(broken)?;
            let (at, certificate, issuer, list) = value.value();
            let link = Link {
                certificate,
                issuer,
            };
            let answer = Answer {
                status: 200,
                body: list.to_owned(),
                ..Answer::default()
            };
            if let Some(question) = Question::of_list(place.value(), link) {
                // A list that was kept by an older version may not please a newer one.
                let _ = ledger.learn(&question, Ok(&answer), Date(at));
            }
        }
        Ok(ledger)
    }
}
