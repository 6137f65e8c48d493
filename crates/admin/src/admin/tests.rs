use std::path::PathBuf;

use posthouse_runtime::block_on;

use super::*;
use crate::Kind;

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

fn with_admin<F: Future<Output = ()>>(test: impl FnOnce(Admin, PathBuf) -> F) {
    let folder = tempfile::tempdir().unwrap();
    block_on(async {
        let data = folder.path().join("data");
        test(Admin::open_or_create(&data).unwrap(), data).await;
    })
    .unwrap();
}

#[test]
fn a_mistyped_data_directory_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("typo");
    let error = Admin::open(&data).err().unwrap();
    assert_eq!(error.kind(), Kind::Setup);
    assert!(!data.exists());
}

#[test]
fn a_new_data_directory_is_the_servers_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    with_admin(|_admin, data| async move {
        let mode = std::fs::metadata(&data).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    });
}

#[test]
fn what_is_added_is_listed_and_what_is_removed_is_not() {
    with_admin(|admin, _data| async move {
        let added = admin.add_domain(&"bücher.example".parse().unwrap()).await.unwrap();
        assert_eq!((added.domain.as_str(), added.unicode.as_str()), ("xn--bcher-kva.example", "bücher.example"));
        let domain: Domain = "example.test".parse().unwrap();
        admin.add_domain(&domain).await.unwrap();
        let alice = admin.add_account(&address("alice@example.test"), &Secret::new("correct horse")).await.unwrap();
        let alias = admin.add_alias(&address("info@example.test"), &[address("alice@example.test")]).await.unwrap();
        assert_eq!(admin.accounts().await.unwrap(), std::slice::from_ref(&alice));
        assert_eq!(admin.aliases().await.unwrap(), [alias]);
        assert_eq!(admin.remove_domain(&domain).await.unwrap_err().kind(), Kind::Conflict, "it has an account");

        let removed = admin.remove_account(&address("alice@example.test"), true).await.unwrap();
        assert_eq!((removed.account, removed.aliases), (alice, vec!["info@example.test".to_owned()]));
        admin.remove_alias(&address("info@example.test")).await.unwrap();
        admin.remove_domain(&domain).await.unwrap();
        assert_eq!(admin.domains().await.unwrap(), [added]);
        assert!(admin.accounts().await.unwrap().is_empty() && admin.aliases().await.unwrap().is_empty());
    });
}

#[test]
fn whose_fault_it_is_shows_in_the_kind() {
    with_admin(|admin, _data| async move {
        let domain: Domain = "example.test".parse().unwrap();
        admin.add_domain(&domain).await.unwrap();
        assert_eq!(admin.add_domain(&domain).await.unwrap_err().kind(), Kind::Conflict);
        let password = Secret::new("correct horse");
        let nobody = address("nobody@example.test");
        assert_eq!(admin.set_password(&nobody, &password).await.unwrap_err().kind(), Kind::NotFound);
        assert_eq!(admin.remove_alias(&nobody).await.unwrap_err().kind(), Kind::NotFound);
        assert_eq!(admin.account("nobody").await.unwrap_err().kind(), Kind::NotFound);
        assert_eq!(admin.add_account(&address("x@elsewhere.test"), &password).await.unwrap_err().kind(), Kind::NotFound);
        assert_eq!(admin.add_alias(&nobody, &[]).await.unwrap_err().kind(), Kind::Invalid);
    });
}
