//! A statement that is put together from parts. Its text consists of literals of this crate and numbered
//! placeholders; whatever comes from outside is bound.

/// A value to be bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Bind {
    Text(String),
    Number(i64),
}

/// A statement under construction.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sql {
    pub(crate) text: String,
    pub(crate) binds: Vec<Bind>,
}

impl Sql {
    pub(crate) fn new(text: &'static str) -> Self {
        Self { text: text.to_owned(), binds: Vec::new() }
    }

    /// Appends text of this crate.
    pub(crate) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Appends the placeholder of a text.
    pub(crate) fn text(&mut self, value: impl Into<String>) -> &mut Self {
        self.bind(Bind::Text(value.into()))
    }

    /// Appends the placeholder of a number.
    pub(crate) fn number(&mut self, value: i64) -> &mut Self {
        self.bind(Bind::Number(value))
    }

    /// Appends a limit. It is no secret and no text, and the plan depends on it.
    pub(crate) fn limit(&mut self, rows: i64) -> &mut Self {
        self.push(" LIMIT ").push(&rows.to_string())
    }

    /// A value that stands in several places is bound once.
    fn bind(&mut self, value: Bind) -> &mut Self {
        let at = self.binds.iter().position(|bound| *bound == value).unwrap_or_else(|| {
            self.binds.push(value);
            self.binds.len() - 1
        });
        self.text.push('$');
        self.text.push_str(&(at + 1).to_string());
        self
    }
}

/// The query of an [`Sql`], with its values bound: `bound!(sql, query_as::<_, Row>)`. It is planned anew each
/// time, for the values it has: the plan that PostgreSQL keeps for any values reads whole tables.
macro_rules! bound {
    ($sql:expr, $($query:tt)+) => {{
        let sql: &$crate::sql::Sql = &$sql;
        let mut query = sqlx::$($query)+(sqlx::AssertSqlSafe(sql.text.as_str()));
        for value in &sql.binds {
            query = match value {
                $crate::sql::Bind::Text(text) => query.bind(text.as_str()),
                $crate::sql::Bind::Number(number) => query.bind(*number),
            };
        }
        query.persistent(false)
    }};
}
pub(crate) use bound;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stands_outside_of_the_text_and_is_bound_once() {
        let mut sql = Sql::new("SELECT 1 WHERE a = ");
        sql.text("'; DROP").push(" AND b = ").number(7).push(" AND c = ").text("'; DROP");
        assert_eq!(sql.text, "SELECT 1 WHERE a = $1 AND b = $2 AND c = $1");
        assert_eq!(sql.binds, [Bind::Text("'; DROP".into()), Bind::Number(7)]);
    }
}
