use dittofs_framework::client::CallbackPath;
use dittofs_framework::state::{DelegationPolicy, DelegationQuestion, DelegationType};

/// Offers a directory delegation to every client, whether it has answered a callback or not, and no delegations of files.
pub struct DirectoriesToEverybody;

impl DelegationPolicy for DirectoriesToEverybody {
    fn offer(&self, _: &DelegationQuestion) -> Option<DelegationType> {
        None
    }

    fn offers_directory(&self, _: CallbackPath, _: usize) -> bool {
        true
    }
}
