//! Digital identity: keys that weigh, a document of an identity, credentials, and a currency that only those hold who have one.

#[path = "town/mod.rs"]
mod town;

use nostro::{
    Amount, AssetId, AssetPolicy, AssetTerms, AuthorityKey, AuthorityRules, Authorize, KeyPair, Put, PutAction,
    RecordKind, RegisterAsset, RejectionCode,
};
use town::{Told, Town, person};

const TOKEN: AssetId = AssetId(0);
const RESIDENT: [u8; 32] = *b"schema: resident of this country";

fn credential(subject: &KeyPair, action: PutAction) -> Put {
    let kind = RecordKind::Attestation;
    Put { action, kind, key: RESIDENT, subject: Some(subject.address()), ..Put::default() }
}

pub(crate) fn story() -> Told<Vec<String>> {
    let mut town = Town::open("identity")?;
    let (state, issuer) = (person("state"), person("issuer"));
    let (ann, ben, cid, card) = (person("ann"), person("ben"), person("cid"), person("card"));

    let document = Put {
        kind: RecordKind::Identity,
        key: [0; 32],
        hash: [9; 32],
        value: b"did document of Ann".to_vec(),
        ..Put::default()
    };
    town.does(&[&ann], |order| order.put(document))?;
    town.tell("Ann has published the document of her identity");

    town.does(&[&state], |order| {
        order.put(credential(&ann, PutAction::Create)).put(credential(&ben, PutAction::Create))
    })?;
    let terms = AssetTerms { schema: RESIDENT, attester: state.address(), ..AssetTerms::default() };
    let plain = RegisterAsset::plain("TOKEN".parse()?, 0, Amount(1_000));
    let token = RegisterAsset { policy: AssetPolicy::CREDENTIAL, terms: Some(Box::new(terms)), ..plain };
    let issuer_address = issuer.address();
    town.does(&[&issuer], |order| {
        order.operation(issuer_address, token.into()).transfer(ann.address(), TOKEN, Amount(100))
    })?;
    town.fails(&[&issuer], RejectionCode::NotAttested, |order| order.transfer(cid.address(), TOKEN, Amount(1)))?;
    town.tell("residents hold the token; Cid, who isn't one, can't be paid in it");

    // Ann's key is replaced by two of different weight.
    let mut keys = vec![
        AuthorityKey { key: ann.address(), weight: 1, scope: 0, expiry: None },
        AuthorityKey { key: card.address(), weight: 2, scope: 0, expiry: None },
    ];
    keys.sort_by_key(|key| key.key);
    let rules = AuthorityRules { keys, low: 1, medium: 2, high: 3, ..AuthorityRules::default() };
    town.does(&[&ann], |order| order.authorize(Authorize::Set(rules)))?;
    town.fails(&[&ann], RejectionCode::ThresholdUnmet, |order| order.transfer(ben.address(), TOKEN, Amount(10)))?;
    let (who, with_card) = (ann.address(), card.address());
    let outcome = town
        .order_for(who, &[&card], |order| order.signed_by(who, with_card).transfer(ben.address(), TOKEN, Amount(10)))?;
    assert!(outcome.is_applied(), "{outcome:?}");
    town.tell("to pay, Ann's card weighs enough and her old key alone doesn't");

    town.does(&[&state], |order| order.put(credential(&ben, PutAction::Revoke)))?;
    town.fails(&[&ben], RejectionCode::NotAttested, |order| order.transfer(ann.address(), TOKEN, Amount(1)))?;
    town.does(&[&ben], |order| order.transfer(issuer.address(), TOKEN, Amount(10)))?;
    town.tell("Ben's credential was revoked: the next transfer fails, giving back still works");

    let forget = Put { owner: Some(state.address()), ..credential(&ben, PutAction::Remove) };
    town.does(&[&ben], |order| order.put(forget))?;
    let snapshot = town.snapshot()?;
    let of =
        |who: &KeyPair| snapshot.record(&state.address(), RecordKind::Attestation, &RESIDENT, Some(&who.address()));
    assert!(of(&ann).is_some_and(|record| !record.is_revoked) && of(&ben).is_none());
    town.tell("what was attested of Ben is gone, since he asked for it");
    town.end()
}

#[allow(dead_code, reason = "the test of the cases has a main of its own")]
fn main() -> Told {
    story()?.iter().for_each(|line| println!("{line}"));
    Ok(())
}
