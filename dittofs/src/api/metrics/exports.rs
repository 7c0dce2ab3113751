use dittofs_framework::compound::Nfs4Service;
use dittofs_framework::export::ExportId;
use dittofs_framework::fs::RequestContext;
use prometheus::proto::MetricFamily;

use super::family::Family;

/// How full each export is. One that cannot say it has no values.
pub(super) async fn gather(service: &Nfs4Service) -> Vec<MetricFamily> {
    let mut bytes = Family::gauge("export_bytes", "Bytes of storage that an export uses, and may still use.");
    let mut files = Family::gauge("export_files", "Objects that an export has, and may still have.");
    let exports = service.namespace().exports().filter(|export| export.id != ExportId::PSEUDO);
    for export in exports {
        let path = ("export", export.path.as_str());
        let (used, available) = ([path, ("state", "used")], [path, ("state", "available")]);
        if let Ok(usage) = export.fs.usage(&RequestContext::server()).await {
            bytes = bytes
                .with(&used, usage.space_total.saturating_sub(usage.space_free))
                .with(&available, usage.space_avail);
            files = files
                .with(&used, usage.files_total.saturating_sub(usage.files_free))
                .with(&available, usage.files_avail);
        }
    }
    [bytes, files].into_iter().filter(|family| !family.is_empty()).map(Into::into).collect()
}
