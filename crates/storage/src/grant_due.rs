//! When the background refreshes a grant, as one expression: it is written wherever a grant's status is
//! (`grant_status.rs`), and `$1` is the present moment there.
//!
//! - A grant that was used or authorized within a week is refreshed where its margin begins: the smaller of 5
//!   minutes and a fifth of the token's lifetime before its end. Within the first half of the margin the moment
//!   is spread by the millisecond of issue, so that tokens of one minute do not fall due in one.
//! - Where the gateway keeps grants alive, one that nobody uses is refreshed when two thirds have passed of the
//!   time until the provider would end it, or every week where that time is not known.
//! - A failed refresh is not repeated before its time; a token that lives less than a minute is left to calls.
//! - What is parked, orphaned or has no refresh token is not refreshed at all, and neither is what is uncertain
//!   unless its one recovery is still to be tried.
//! - While an intent stands, so does the moment at which somebody looks whether its answer came.

macro_rules! refresh_due {
    () => {
        "CASE WHEN orphaned_since IS NOT NULL OR (refresh_token IS NULL AND owner_kind = 'user') OR state = 'needs_authorization' \
           THEN 9223372036854775807 \
         WHEN state = 'uncertain' AND (redeeming_number IS NOT NULL OR NOT \
           (SELECT replay_safe FROM gateways WHERE gateways.id = grants.gateway_id)) THEN 9223372036854775807 \
         WHEN redeeming_number IS NOT NULL THEN refresh_due_at \
         ELSE (SELECT MAX(moment) FROM (SELECT COALESCE(retry_at, 0) AS moment \
           UNION ALL SELECT issued_at + 60000 \
           UNION ALL SELECT MIN(due) FROM ( \
             SELECT CASE WHEN expires_at = 9223372036854775807 \
                 OR (last_used_at < $1 - 604800000 AND authorized_at < $1 - 604800000) THEN 9223372036854775807 \
               WHEN expires_at <= issued_at THEN expires_at \
               WHEN expires_at - issued_at < 1500000 \
                 THEN expires_at - (expires_at - issued_at) / 5 * (2000 - issued_at % 1000) / 2000 \
               ELSE expires_at - 150 * (2000 - issued_at % 1000) END AS due \
             UNION ALL SELECT CASE WHEN NOT (SELECT keep_alive FROM gateways WHERE gateways.id = grants.gateway_id) \
                 THEN 9223372036854775807 \
               WHEN ends_at = 9223372036854775807 THEN issued_at + 604800000 \
               WHEN (ends_at - issued_at) / 3 * 2 > 86400000 THEN issued_at + (ends_at - issued_at) / 3 * 2 \
               ELSE issued_at + 86400000 END) AS dues) AS moments) END"
    };
}
