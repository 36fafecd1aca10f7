//! Second factors and recovery codes.

use crate::samples::*;
use crate::stage::Stage;
use doorward_domain::{KeyId, Sealed, SecondFactor, UserId};

fn factor(user_id: UserId) -> SecondFactor {
    SecondFactor {
        user_id,
        secret: Sealed { key_id: KeyId("k1".into()), bytes: b"sealed secret".to_vec() },
        last_step: 0,
        confirmed: false,
        created_at: NOW,
    }
}

async fn a_factor_asks_for_nothing_until_it_is_confirmed_and_is_replaced_until_then(stage: &Stage) {
    let storage = &stage.storage;
    let ada = stored_user(storage, "ada@example.com").await;
    let first = factor(ada.id);
    assert!(storage.begin_second_factor(&first, event("second_factor.begin")).await.unwrap());
    let other = SecondFactor {
        secret: Sealed { key_id: KeyId("k1".into()), bytes: b"another".to_vec() },
        ..factor(ada.id)
    };
    assert!(storage.begin_second_factor(&other, event("second_factor.begin")).await.unwrap());
    assert_eq!(storage.second_factor(ada.id).await.unwrap(), Some(other.clone()));
    assert!(!storage.user(ada.id).await.unwrap().unwrap().has_second_factor);
    assert!(!storage.use_second_factor_step(ada.id, 9).await.unwrap(), "it is not confirmed");
    let codes = [hash(), hash()];
    let earlier = doorward_domain::Timestamp::from_millis(NOW.millis() - 1);
    let mistaken =
        storage.confirm_second_factor(ada.id, earlier, 7, &codes, event("second_factor.set_up")).await;
    assert!(!mistaken.unwrap(), "it was another secret whose code was shown");
    assert!(
        storage.confirm_second_factor(ada.id, NOW, 7, &codes, event("second_factor.set_up")).await.unwrap()
    );
    assert!(
        !storage.confirm_second_factor(ada.id, NOW, 8, &codes, event("second_factor.set_up")).await.unwrap()
    );
    assert!(!storage.begin_second_factor(&first, event("second_factor.begin")).await.unwrap());
    let kept = storage.second_factor(ada.id).await.unwrap().unwrap();
    assert_eq!(kept, SecondFactor { last_step: 7, confirmed: true, ..other });
    assert!(storage.user(ada.id).await.unwrap().unwrap().has_second_factor);
    assert_eq!(
        stage.number("SELECT count(*) FROM audit_events WHERE action LIKE 'second_factor.%'").await,
        3
    );
}

async fn a_step_and_a_recovery_code_are_used_once(stage: &Stage) {
    let storage = &stage.storage;
    let ada = stored_user(storage, "ada@example.com").await;
    let bob = stored_user(storage, "bob@example.com").await;
    storage.begin_second_factor(&factor(ada.id), event("x")).await.unwrap();
    let codes = [hash(), hash()];
    storage.confirm_second_factor(ada.id, NOW, 7, &codes, event("x")).await.unwrap();
    for (step, fits) in [(7, false), (6, false), (9, true), (9, false), (8, false), (10, true)] {
        assert_eq!(storage.use_second_factor_step(ada.id, step).await.unwrap(), fits, "{step}");
    }
    assert!(!storage.use_recovery_code(bob.id, codes[0], event("x")).await.unwrap(), "somebody else's");
    assert!(storage.use_recovery_code(ada.id, codes[0], event("x")).await.unwrap());
    assert!(!storage.use_recovery_code(ada.id, codes[0], event("x")).await.unwrap());
    assert_eq!(storage.recovery_codes_left(ada.id).await.unwrap(), 1);
    storage.replace_recovery_codes(ada.id, &[hash(), hash(), hash()], event("x")).await.unwrap();
    assert!(!storage.use_recovery_code(ada.id, codes[1], event("x")).await.unwrap());
    assert_eq!(storage.recovery_codes_left(ada.id).await.unwrap(), 3);
    assert!(storage.remove_second_factor(ada.id, event("x")).await.unwrap());
    assert!(!storage.remove_second_factor(ada.id, event("x")).await.unwrap());
    assert_eq!(storage.recovery_codes_left(ada.id).await.unwrap(), 0);
    assert!(!storage.user(ada.id).await.unwrap().unwrap().has_second_factor);
}

on_both!(
    a_factor_asks_for_nothing_until_it_is_confirmed_and_is_replaced_until_then,
    a_step_and_a_recovery_code_are_used_once,
);
