use super::*;

#[test]
fn a_user_is_found_by_the_number_alone() {
    let passwd = "root:x:0:0:root:/root:/bin/sh\n# 7\nbroken\nalice:x:1000:7::/srv:/bin/sh\nbob:x:7:1000::/:/bin/false\n";
    let found: Vec<_> = [0, 7, 1000, 1].map(|uid| field(passwd, uid, NAME)).into_iter().collect();
    assert_eq!(field(passwd, 1000, DIRECTORY).as_deref(), Some("/srv"));
    assert_eq!(found, [Some("root".to_owned()), Some("bob".to_owned()), Some("alice".to_owned()), None]);
}
