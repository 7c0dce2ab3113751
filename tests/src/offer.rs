use dittofs_framework::fs::ShareAccess;
use dittofs_framework::proto::Want;
use dittofs_framework::state::{DelegationPolicy, DelegationQuestion, DelegationType};

/// Offers what is wanted, and to those who do not say what the open is for, whether they can be called back or not.
pub struct OfferAlways;

impl DelegationPolicy for OfferAlways {
    fn offer(&self, question: &DelegationQuestion) -> Option<DelegationType> {
        let writes = question.access.contains(ShareAccess::WRITE);
        match question.want {
            Want::None | Want::Cancel => None,
            Want::Write => Some(DelegationType::Write),
            Want::Any | Want::NoPreference if writes => Some(DelegationType::Write),
            Want::Read | Want::Any | Want::NoPreference => Some(DelegationType::Read),
        }
    }

    fn offers_timestamps(&self) -> bool {
        true
    }
}
