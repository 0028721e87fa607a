//! The documents of `--json` against their schemas in `docs/schemas/`, both ways: no field is
//! undocumented, and no documented field is missing.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod scripted;

use std::path::Path;

use evenkeel::documents::{
    ActionDetailDocument, ActionDocument, ActionLogDocument, ActionWordDocument,
    ApprovalRuleDocument, ApprovalsDocument, AuditDocument, BackupDocument, CeremonyDocument,
    CeremonyEntryDocument, CeremonyStep, CheckDocument, DecryptionDocument,
    DecryptionFaultDocument, DecryptionLineageDocument, DecryptionState, DiffDocument,
    DifferenceDocument, DrillDocument, DrillEverythingDocument, ErrorDocument,
    EverythingPartDocument, FailoverCheck, FailoverCheckDocument, FailoverDocument,
    FileProblemDocument, ForecastDocument, GroupContractDocument, GroupDocument,
    GroupHolderDocument, HsmKeyDocument, HsmKeysDocument, HsmPinState, HsmSignatureDocument,
    HsmStoredKeyDocument, HsmTokenDocument, HsmTokensDocument, KeyAccountDocument,
    KeyAddressDocument, KeyCardDocument, KeyDepartureDocument, KeyFingerprintDocument,
    KeyGroupDocument, KeyRecoveryDocument, KeyScheme, KeySetDocument, KeysKitDocument, KitDocument,
    LazyRestoreDocument, LsDocument, MarginSimulationDocument, NetworkBackupDocument,
    NetworkCheckDocument, NetworkDiffDocument, NetworkRestoreDocument, NetworkVersionDocument,
    NetworkVersionsDocument, Outcome, PeriodDocument, PlanDocument, PointsDocument,
    PostgresCaptureDocument, PostgresEventDocument, PostgresNamedPointDocument,
    PostgresStatusDocument, PostgresWindowDocument, ProblemDocument, ProgressDocument,
    PruneDocument, QrFilmDocument, QrReceiveDocument, QrSendDocument, RecipientDocument,
    RecipientsDocument, RepairDocument, RepairProblemDocument, RestoreDocument,
    RestorePostgresDocument, RestoredCursorDocument, RootDocument, RootWordDocument,
    ShareDrillDocument, ShareDrillStatusDocument, ShareDrillsDocument, SheetCardDocument,
    SheetDocument, SheetPayloadDocument, SheetPrintDocument, SheetScanDocument,
    SheetSymbolDocument, SiteAuditDocument, SitesDocument, SlashingDocument, Slip39CardDocument,
    Slip39GroupDocument, Slip39GroupUseDocument, Slip39RecoveryDocument, Slip39SplitDocument,
    SourceGapDocument, SourceProofDocument, StatusDocument, VerifyDocument,
};
use scripted::Scene;
use serde::Serialize;
use serde_json::Value;

fn schema(name: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schemas");
    let text = std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn json(document: &impl Serialize) -> Value {
    serde_json::to_value(document).unwrap()
}

/// Adds to `faults` where `value` and `schema` differ; `root` holds the definitions.
fn compare(value: &Value, schema: &Value, root: &Value, at: &str, faults: &mut Vec<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap();
        return compare(value, &root["$defs"][name], root, at, faults);
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let choice = choices.iter().find(|c| (c["type"] == "null") == value.is_null());
        return compare(value, choice.unwrap_or(&Value::Null), root, at, faults);
    }
    if let Some(words) = schema["enum"].as_array() {
        if !words.contains(value) {
            faults.push(format!("{at}: {value} is none of {words:?}"));
        }
        return;
    }
    if !schema["const"].is_null() {
        if schema["const"] != *value {
            faults.push(format!("{at}: {value} is not {}", schema["const"]));
        }
        return;
    }
    if !has_type(value, &schema["type"]) {
        faults.push(format!("{at}: {value} is not of type {}", schema["type"]));
    }
    if let Some(items) = value.as_array() {
        for item in items {
            compare(item, &schema["items"], root, &format!("{at}[]"), faults);
        }
    }
    if let Some(fields) = value.as_object() {
        compare_fields(fields, schema, root, at, faults);
    }
}

fn compare_fields(
    fields: &serde_json::Map<String, Value>,
    schema: &Value,
    root: &Value,
    at: &str,
    faults: &mut Vec<String>,
) {
    let empty = serde_json::Map::new();
    let known = schema["properties"].as_object().unwrap_or(&empty);
    for (name, field) in fields {
        match known.get(name).or_else(|| schema.get("additionalProperties")) {
            Some(expected) => compare(field, expected, root, &format!("{at}.{name}"), faults),
            None => faults.push(format!("{at}.{name} is not documented")),
        }
    }
    let required = schema["required"].as_array().into_iter().flatten();
    for name in required.filter_map(Value::as_str) {
        if !fields.contains_key(name) {
            faults.push(format!("{at}.{name} is missing"));
        }
    }
}

fn has_type(value: &Value, expected: &Value) -> bool {
    match expected {
        Value::Array(any) => any.iter().any(|one| has_type(value, one)),
        Value::String(name) => match name.as_str() {
            "null" => value.is_null(),
            "string" => value.is_string(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "boolean" => value.is_boolean(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            _ => false,
        },
        _ => false,
    }
}

fn assert_fits(name: &str, document: &impl Serialize) {
    let (schema, value) = (schema(name), json(document));
    let mut faults = Vec::new();
    compare(&value, &schema, &schema, name, &mut faults);
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn every_document_fits_its_schema_when_it_is_empty() {
    assert_fits("status", &StatusDocument::default());
    assert_fits("points", &PointsDocument::default());
    assert_fits("drill", &DrillDocument::default());
    assert_fits("restore", &RestoreDocument::default());
    assert_fits("backup", &BackupDocument::default());
    assert_fits("ls", &LsDocument::default());
    assert_fits("diff", &DiffDocument::default());
    assert_fits("verify", &VerifyDocument::default());
    assert_fits("repair", &RepairDocument::default());
    assert_fits("audit", &AuditDocument::default());
    assert_fits("prune", &PruneDocument::default());
    assert_fits("kit", &KitDocument::default());
    let periods = vec![PeriodDocument::default()];
    let recipients = vec![RecipientDocument { since: Some("x".to_owned()), ..Default::default() }];
    let document = RecipientsDocument { recipients, incomplete: periods, ..Default::default() };
    assert_fits("recipients", &document);
    let words = vec![RootWordDocument { counts: Some(true), ..Default::default() }];
    assert_fits("root", &RootDocument { words, ..RootDocument::default() });
    assert_fits("sites", &SitesDocument::default());
    assert_fits("margin_simulation", &MarginSimulationDocument::default());
    assert_fits("failover", &FailoverDocument::default());
    let checks = vec![FailoverCheck::default()];
    let check = FailoverCheckDocument { checks, ..FailoverCheckDocument::default() };
    assert_fits("failover_check", &check);
    assert_fits("progress", &ProgressDocument::default());
    assert_fits("error", &ErrorDocument::default());
}

#[test]
fn the_document_of_approvals_fits_its_schema_empty_and_full() {
    assert_fits("approvals", &ApprovalsDocument::default());
    let action = ActionDocument {
        details: vec![ActionDetailDocument::default()],
        said: vec![ActionWordDocument::default()],
        log: vec![ActionLogDocument::default()],
        valid_from: Some(String::new()),
        ..ActionDocument::default()
    };
    let full = ApprovalsDocument {
        policy: Some(1),
        rules: vec![ApprovalRuleDocument::default()],
        refused: vec![String::new()],
        actions: vec![action],
        message: Some(String::new()),
        message_time: Some(String::new()),
        ..ApprovalsDocument::default()
    };
    assert_fits("approvals", &full);
}

#[test]
fn the_document_of_a_decryption_fits_its_schema_empty_and_full() {
    assert_fits("key_decryption", &DecryptionDocument::default());
    let decryption = DecryptionDocument {
        state: DecryptionState::Opens,
        lineages: vec![DecryptionLineageDocument::default()],
        holders: vec![GroupHolderDocument::default()],
        wrong: vec![DecryptionFaultDocument::default()],
        quorum: vec![1],
        generation: Some(1),
        ..Default::default()
    };
    assert_fits("key_decryption", &decryption);
}

#[test]
fn the_document_of_a_drill_of_everything_fits_its_schema_empty_and_full() {
    assert_fits("drill_everything", &DrillEverythingDocument::default());
    let part = EverythingPartDocument {
        result: Outcome::NotConfigured,
        rpo_seconds: Some(1.0),
        rto_seconds: Some(2.5),
        sites_missing: vec!["site-b".to_owned()],
        sources: vec![SourceProofDocument::default()],
        checks: vec![CheckDocument::default()],
        ..EverythingPartDocument::default()
    };
    let (parts, conditions) = (vec![part], vec![CheckDocument::default()]);
    let document = DrillEverythingDocument { parts, conditions, ..Default::default() };
    assert_fits("drill_everything", &document);
}

fn identities_and_kits() {
    let recipient = Some("age1".to_owned());
    let recovery = KeyRecoveryDocument { recipient: recipient.clone(), ..Default::default() };
    assert_fits("key_recovery", &recovery);
    let scheme = KeyScheme::Age;
    let record = KeyFingerprintDocument { scheme, recipient, ..Default::default() };
    assert_fits("key_fingerprint", &record);
    let keys = vec!["wallet".to_owned()];
    assert_fits("keys_kit", &KeysKitDocument { keys, ..Default::default() });
}

#[test]
fn the_documents_of_keys_fit_their_schemas_empty_and_full() {
    assert_fits("slip39_recovery", &Slip39RecoveryDocument::default());
    let groups = vec![Slip39GroupUseDocument { members: vec![1, 3], ..Default::default() }];
    let secret_hex = Some("00".repeat(16));
    let recovery = Slip39RecoveryDocument { groups, secret_hex, ..Default::default() };
    assert_fits("slip39_recovery", &recovery);
    assert_fits("slip39_split", &Slip39SplitDocument::default());
    assert_fits("key_fingerprint", &KeyFingerprintDocument::default());
    let addresses = vec![KeyAddressDocument::default()];
    let accounts = vec![KeyAccountDocument { addresses, ..Default::default() }];
    let cards = vec![KeyCardDocument { holder: Some("a".to_owned()), ..Default::default() }];
    let groups = vec![KeyGroupDocument::default()];
    let set = Some(KeySetDocument { groups, cards, ..Default::default() });
    let record = KeyFingerprintDocument { accounts, set, ..Default::default() };
    assert_fits("key_fingerprint", &record);
    let holders = vec![GroupHolderDocument::default()];
    let (generation, missing) = (Some(2), vec![1]);
    let facts = [("card".to_owned(), "1.2".to_owned())].into_iter().collect();
    assert_fits("ceremony_entry", &CeremonyEntryDocument { facts, ..Default::default() });
    let due = Some(CeremonyStep::Dealt);
    assert_fits("ceremony", &CeremonyDocument { due, ..Default::default() });
    assert_fits("key_departure", &KeyDepartureDocument::default());
    let cards = vec!["1.2 of Bob".to_owned()];
    assert_fits("key_recovery", &KeyRecoveryDocument { cards, ..Default::default() });
    identities_and_kits();
    let contract = Some(GroupContractDocument::default());
    let document = GroupDocument { holders, generation, missing, contract, ..Default::default() };
    assert_fits("key_group", &document);
    assert_fits("hsm_key", &HsmKeyDocument::default());
    let some = || Some("a".to_owned());
    let record = HsmKeyDocument {
        public_hex: some(),
        ethereum_address: some(),
        recipient: some(),
        holder: some(),
        place: some(),
        ..Default::default()
    };
    assert_fits("hsm_key", &record);
    assert_fits("hsm_signature", &HsmSignatureDocument::default());
    let signed = HsmSignatureDocument {
        digest_hex: some(),
        signature_der_hex: some(),
        recovery_id: Some(1),
        ..Default::default()
    };
    assert_fits("hsm_signature", &signed);
    let key =
        HsmStoredKeyDocument { kind: some(), faults: vec!["a".to_owned()], ..Default::default() };
    let keys = vec![key, HsmStoredKeyDocument::default()];
    assert_fits("hsm_keys", &HsmKeysDocument { keys, ..Default::default() });
    let states =
        [HsmPinState::Low, HsmPinState::FinalTry, HsmPinState::Locked, HsmPinState::NotSet];
    let token = |pin| HsmTokenDocument { pin, free_bytes: Some(1), ..Default::default() };
    let tokens = states.into_iter().map(token).chain([HsmTokenDocument::default()]).collect();
    assert_fits("hsm_tokens", &HsmTokensDocument { tokens, ..Default::default() });
    assert_fits("share_drill", &ShareDrillDocument::default());
    let cards = vec![ShareDrillStatusDocument { age_days: Some(3), ..Default::default() }];
    assert_fits("share_drills", &ShareDrillsDocument { cards, ..Default::default() });
    let card = Slip39CardDocument {
        file: Some("a".into()),
        mnemonic: Some("b".into()),
        group: 1,
        member: 2,
    };
    let groups = vec![Slip39GroupDocument::default()];
    let cards = vec![card, Slip39CardDocument::default()];
    assert_fits("slip39_split", &Slip39SplitDocument { groups, cards, ..Default::default() });
}

#[test]
fn the_documents_of_sheets_fit_their_schemas_empty_and_full() {
    assert_fits("qr_send", &QrSendDocument { written: vec!["a".into()], ..Default::default() });
    assert_fits("qr_receive", &QrReceiveDocument::default());
    let films = vec![QrFilmDocument::default()];
    assert_fits("qr_receive", &QrReceiveDocument { films, ..Default::default() });
    assert_fits("sheet_print", &SheetPrintDocument::default());
    let sheets = vec![SheetDocument { files: vec!["a".into()], ..Default::default() }];
    assert_fits("sheet_print", &SheetPrintDocument { sheets });
    assert_fits("sheet_scan", &SheetScanDocument::default());
    let symbols = vec![SheetSymbolDocument::default()];
    let (verified, words) = (Some(true), Some("academic".to_owned()));
    let card = SheetCardDocument { verified, words, ..Default::default() };
    let (sheets_lost, bytes) = (vec![2], Some(300));
    let payloads = vec![SheetPayloadDocument { sheets_lost, bytes, ..Default::default() }];
    let (cards, written) = (vec![card, SheetCardDocument::default()], Some("out".into()));
    let scan = SheetScanDocument { symbols, cards, payloads, written, ..Default::default() };
    assert_fits("sheet_scan", &scan);
}

#[test]
fn every_document_fits_its_schema_when_it_is_full() {
    for scene in [Scene::Fresh, Scene::Well, Scene::Alarm] {
        assert_fits("status", &scripted::status(scene, 7.0));
        assert_fits("points", &scripted::points(scene, 7.0));
        for drill in scripted::drills(scene) {
            assert_fits("drill", &drill);
        }
    }
    let problem = ProblemDocument {
        site: "amber".to_owned(),
        object: "shards/00/7f".to_owned(),
        kind: "corrupt".to_owned(),
        detail: "byte 512".to_owned(),
    };
    let verify = VerifyDocument {
        result: Outcome::Failed,
        problems: vec![problem.clone()],
        margin_min: Some(1),
        ..VerifyDocument::default()
    };
    assert_fits("verify", &verify);
    let audited = SiteAuditDocument {
        damaged: vec![problem.clone()],
        detail: Some("x".to_owned()),
        ..SiteAuditDocument::default()
    };
    let report = Some("drill-host/audits/1.audit".to_owned());
    let audit = AuditDocument { sites: vec![audited], report, ..AuditDocument::default() };
    assert_fits("audit", &audit);
    let plan = PlanDocument { names: vec!["x".to_owned()], ..PlanDocument::default() };
    let forecast = Some(ForecastDocument::default());
    assert_fits("prune", &PruneDocument { plans: vec![plan], forecast, ..Default::default() });
    let mended = RepairProblemDocument { problem, repaired: true };
    let left = RepairProblemDocument { repaired: false, ..mended.clone() };
    assert_fits("repair", &RepairDocument::of(vec![mended, left], 512, 0.1));
    let problems = vec![FileProblemDocument::default()];
    assert_fits("backup", &BackupDocument { problems, ..BackupDocument::default() });
    let (target, hash) = (Some("x".to_owned()), Some("00".to_owned()));
    assert_fits("ls", &LsDocument { target, hash, ..LsDocument::default() });
    let differences = vec![DifferenceDocument { bytes_after: Some(1), ..Default::default() }];
    assert_fits("diff", &DiffDocument { differences, ..DiffDocument::default() });
    let windows = vec![PostgresWindowDocument::default()];
    let named_points = vec![PostgresNamedPointDocument::default()];
    let events = vec![PostgresEventDocument::default()];
    let capture = PostgresCaptureDocument { windows, named_points, events, ..Default::default() };
    assert_fits("postgres_status", &PostgresStatusDocument { captures: vec![capture] });
    let lazy = Some(LazyRestoreDocument::default());
    assert_fits("restore", &RestoreDocument { lazy, ..RestoreDocument::default() });
    assert_fits("restore_postgres", &RestorePostgresDocument::default());
    let stop = Some("recovery_target_lsn = 0/3000148".to_owned());
    assert_fits("restore_postgres", &RestorePostgresDocument { stop, ..Default::default() });
    let sources = vec![SourceProofDocument { rpo_seconds: Some(0.5), ..Default::default() }];
    assert_fits("drill", &DrillDocument { sources, ..DrillDocument::default() });
    let gaps = vec![SourceGapDocument { until: Some(String::new()), ..Default::default() }];
    assert_fits("points", &PointsDocument { gaps, ..PointsDocument::default() });
    let sites = scripted::status(Scene::Alarm, 0.0).sites;
    assert_fits("sites", &SitesDocument { sites, ..SitesDocument::default() });
}

#[test]
fn a_document_that_does_not_fit_is_noticed() {
    let schema = schema("drill");
    let faults = |change: &dyn Fn(&mut Value)| {
        let mut value = json(&scripted::drills(Scene::Well)[0]);
        change(&mut value);
        let mut faults = Vec::new();
        compare(&value, &schema, &schema, "drill", &mut faults);
        faults
    };
    assert!(faults(&|_| ()).is_empty());
    assert_eq!(faults(&|drill| drill["extra"] = 1.into()), ["drill.extra is not documented"]);
    assert_eq!(faults(&|drill| drill["result"] = "fine".into()).len(), 1);
    assert_eq!(faults(&|drill| drill["position"] = "7".into()).len(), 1);
    assert_eq!(faults(&|drill| drill["checks"][0]["name"] = Value::Null).len(), 1);
    let removed = faults(&|drill| {
        drill.as_object_mut().unwrap().remove("rto_seconds");
    });
    assert_eq!(removed, ["drill.rto_seconds is missing"]);
}

#[test]
fn a_repair_is_ok_only_when_nothing_is_left() {
    let problem = RepairProblemDocument::default();
    let mended = RepairProblemDocument { repaired: true, ..problem.clone() };
    assert_eq!(RepairDocument::of(Vec::new(), 0, 0.0).result, Outcome::Ok);
    assert_eq!(RepairDocument::of(vec![mended.clone()], 0, 0.0).result, Outcome::Ok);
    let partly = RepairDocument::of(vec![mended, problem], 0, 0.0);
    assert_eq!((partly.result, partly.repaired.len()), (Outcome::Failed, 1));
}

#[test]
fn documents_come_back_from_json_as_they_were() {
    let status = scripted::status(Scene::Alarm, 3.0);
    let back: StatusDocument = serde_json::from_value(json(&status)).unwrap();
    assert_eq!(back, status);
    let drills = scripted::drills(Scene::Alarm);
    let back: Vec<DrillDocument> = serde_json::from_value(json(&drills)).unwrap();
    assert_eq!(back, drills);
}

#[test]
fn every_documented_field_is_in_the_page_for_people() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/json.md");
    let page = std::fs::read_to_string(page).unwrap();
    let names = ["status", "points", "drill", "restore", "verify", "repair", "sites", "replay"];
    let more = ["margin_simulation", "failover", "failover_check", "audit", "prune"];
    let more = more.into_iter().chain(["recipients", "kit", "approvals"]);
    for name in names.into_iter().chain(more).chain(["backup", "ls", "diff"]) {
        let section = page.split(&format!("\n## {name}\n")).nth(1).unwrap();
        let section = section.split("\n## ").next().unwrap();
        let schema = schema(name);
        for field in schema["properties"].as_object().unwrap().keys() {
            let mentioned = section.contains(&format!("| `{field}` |"))
                || section.contains(&format!("| `{field}[]` |"))
                || field == "message_type";
            assert!(mentioned, "{name}.{field} is missing in docs/json.md");
        }
    }
}

#[test]
fn the_documents_of_the_network_fit_their_schemas_empty_and_full() {
    assert_fits("network_check", &NetworkCheckDocument::default());
    assert_fits("network_check", &scripted::network());
    let problems = vec!["x".to_owned()];
    let sites_missing = vec!["a".to_owned()];
    let backup = NetworkBackupDocument { problems, sites_missing, ..Default::default() };
    assert_fits("network_backup", &backup);
    let versions = vec![NetworkVersionDocument::default()];
    assert_fits("network_versions", &NetworkVersionsDocument { versions });
    assert_fits("network_diff", &NetworkDiffDocument::default());
    let cursors = vec![RestoredCursorDocument { head: Some(1), ..Default::default() }];
    assert_fits("network_restore", &NetworkRestoreDocument { cursors, ..Default::default() });
    assert_fits("slashing", &SlashingDocument::default());
    let waits = SlashingDocument { wait_epochs: Some(2), max_slot: Some(9), ..Default::default() };
    assert_fits("slashing", &waits);
}
