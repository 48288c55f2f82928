//! What an API key may be (contract section 3).

use remotegpu_control_plane::{
    IssueApiKey, IssueApiKeyError, UpdateApiKeyError, issue_api_key, update_api_key,
};
use remotegpu_keys::{ApiKeyChange, KeyName};
use remotegpu_scopes::Scopes;
use remotegpu_test_support::rng;
use time::Duration;

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_is_now_is_not_in_the_future() {
    // K5
    let world = World::new().await;
    let (keys, ada, now) = (&world.store.database, world.ada(), world.now());
    let issue = async |end| {
        let wanted = IssueApiKey {
            name: KeyName::parse("ci").unwrap(),
            scopes: Scopes::All,
            expires_at: Some(end),
            default_limit: 2,
        };
        issue_api_key(keys, &world.key_changes, &ada, wanted, &mut rng(), now).await
    };
    let refused = issue(now).await.unwrap_err();
    assert!(matches!(refused, IssueApiKeyError::ExpiryNotInFuture));
    let made = issue(now + Duration::MICROSECOND).await.unwrap();
    let update = async |end| {
        let change = ApiKeyChange {
            expires_at: Some(Some(end)),
            ..ApiKeyChange::default()
        };
        let (id, signals) = (made.key.id, &world.signals);
        update_api_key(keys, signals, &ada, id, &change, &mut rng(), now).await
    };
    let refused = update(now).await.unwrap_err();
    assert!(matches!(refused, UpdateApiKeyError::ExpiryNotInFuture));
    update(now + Duration::SECOND).await.unwrap();
}
