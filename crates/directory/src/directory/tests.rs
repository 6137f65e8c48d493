//! The directory through its public face, on a file.

use std::path::PathBuf;

use tempfile::TempDir;

use posthouse_mail::{Address, Domain};
use posthouse_runtime::block_on;

use crate::{Account, Directory, DirectoryError, Route};

mod changes;
mod logins;
mod routes;

/// A directory with the domains `a.test` and `b.test`, and no accounts.
struct World {
    directory: Directory,
    folder: TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open(&folder.path().join("directory.sqlite")).unwrap();
        let world = Self { directory, folder };
        world.run(world.directory.add_domain(&domain("a.test"))).unwrap();
        world.run(world.directory.add_domain(&domain("b.test"))).unwrap();
        world
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("directory.sqlite")
    }

    /// What another process sees.
    fn other(&self) -> Directory {
        Directory::open(&self.path()).unwrap()
    }

    fn run<F: Future>(&self, future: F) -> F::Output {
        block_on(future).unwrap()
    }

    fn account(&self, address: &str) -> Account {
        self.run(self.directory.add_account(&at(address), "secret")).unwrap()
    }

    fn alias(&self, address: &str, targets: &[&str]) -> Result<crate::Alias, DirectoryError> {
        let targets: Vec<_> = targets.iter().map(|&target| at(target)).collect();
        self.run(self.directory.add_alias(&at(address), &targets))
    }

    fn route(&self, address: &str) -> Route {
        self.run(self.directory.route(&at(address))).unwrap()
    }

    fn expand(&self, address: &str) -> Vec<String> {
        self.run(self.directory.expand(&at(address))).unwrap().iter().map(ToString::to_string).collect()
    }
}

fn at(address: &str) -> Address {
    address.parse().unwrap()
}

fn domain(name: &str) -> Domain {
    name.parse().unwrap()
}

fn to(account: &Account) -> Route {
    Route::Account { account: account.id.clone(), detail: None }
}
