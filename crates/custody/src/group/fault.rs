//! What goes wrong among holders, and who did it.

use super::message::Kind;
use super::suite::Curve;
use super::wire::Malformed;
use crate::random::RandomError;

/// Why a ceremony or a signing cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Somebody is shown to be wrong by messages that he or she signed.
    #[error("holder {holder} {misdeed}")]
    Culprit {
        /// Whose number.
        holder: u16,
        /// What was done.
        misdeed: Misdeed,
    },
    /// One of several is wrong, and the messages do not tell which.
    #[error("cannot tell which of holders {a} and {b} is wrong, because {doubt}")]
    CannotTell {
        /// One of them.
        a: u16,
        /// The other.
        b: u16,
        /// Why not.
        doubt: Doubt,
    },
    /// What was asked for here is refused; nobody else is to blame.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// What a holder did that its own signature proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Misdeed {
    /// Two different messages where there is one.
    #[error("signed two different messages where there is only one: {0}")]
    TwoMessages(Kind),
    /// A message of a wrong form.
    #[error("signed a message of a wrong form: {0}")]
    Form(Kind),
    /// The opening's proof does not hold.
    #[error("did not prove to know the secret behind the opening")]
    Proof,
    /// The dealer's constant is not its recorded share.
    #[error("dealt something that is not its recorded share")]
    Constant,
    /// A packet that does not open, or whose share is not on the committed polynomial.
    #[error("dealt a share to holder {0} that does not lie on the committed polynomial")]
    WrongShare(u16),
    /// A complaint about a good packet.
    #[error("complained of a good packet by holder {0}")]
    FalseComplaint(u16),
    /// An acknowledgement of another result, though the openings agreed on are the same.
    #[error("acknowledged another record, or did not prove to have the share")]
    Acknowledgement,
    /// A share of a signature that is wrong.
    #[error("gave a wrong share of the signature")]
    SignatureShare,
    /// A part of a decryption that is wrong.
    #[error("gave a part of the decryption that was not made with its recorded share")]
    Partial,
    /// Signed for another generation of the group's key.
    #[error("answered with generation {0}, which is not the one asked for")]
    Generation(u32),
}

/// Why it cannot be told who is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// Two holders saw different openings by one.
    #[error(
        "the second says it saw another opening of the first: ask the second for its copy; two \
         signed openings show that it is the first, no copy that it is the second"
    )]
    OtherOpening,
    /// A signer saw other commitments.
    #[error(
        "the second says it saw another commitment of the first: ask the second for its copy; two \
         signed commitments show that it is the first"
    )]
    OtherCommitment,
}

/// Why something is refused here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Too few or too many, or fewer holders than are needed.
    #[error("{threshold} of {holders} holders: 2 to 64 holders, at least 2 of them needed")]
    Numbers {
        /// Needed.
        threshold: u16,
        /// There are.
        holders: usize,
    },
    /// The same number or key twice, or no name.
    #[error("holder {0} is there twice, or has no name or no place of at most 100 bytes")]
    Holder(u16),
    /// Too few of those with shares take part in a change.
    #[error("{there} of the {needed} holders needed for a change can deal their shares")]
    Dealers {
        /// Who could.
        there: usize,
        /// Who must.
        needed: u16,
    },
    /// Not a holder of this plan.
    #[error("this key is not among the holders of the plan")]
    NotAHolder,
    /// Another record, share or plan than the one at hand.
    #[error(
        "the {0} belongs to another group or generation; take the one of the record that is in \
         force"
    )]
    Other(&'static str),
    /// The ceremony goes on without what was drawn here.
    #[error(
        "the table has a message of this holder that was not made from this state: the state was \
         lost, or the key is used twice; make a new plan"
    )]
    LostState,
    /// A record without the group's own signature.
    #[error("the record is not signed by the group's new shares: it is not in force")]
    NotInForce,
    /// A signature that does not verify.
    #[error("the signature is not by this group's key over this message")]
    Signature,
    /// The list of signers is not one that can sign.
    #[error("{there} signers named, all different and of this group; {needed} are needed")]
    Signers {
        /// Named.
        there: usize,
        /// Needed.
        needed: u16,
    },
    /// Nonces that this process does not have.
    #[error("this signing was begun by another process, whose nonces are gone: make a new request")]
    Interrupted,
    /// Not everything is there yet.
    #[error("not all messages are there yet")]
    TooEarly,
    /// Bytes of a wrong form.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// No randomness.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// A recipient's key is asked to sign.
    #[error(
        "this key is a recipient: its shares decrypt, and sign nothing; to have something \
         decrypted: evenkeel keys group ask"
    )]
    SignsNothing,
    /// A key that signs is asked to decrypt.
    #[error("a key of curve {0} signs and decrypts nothing; found one with --curve recipient")]
    DecryptsNothing(Curve),
    /// A request that is over, or would last too long.
    #[error("the request is over, or lasts longer than 7 days: make a new one")]
    Expired,
    /// Nothing to decrypt, too much, or not in order.
    #[error("a request is for 1 to 512 different stanzas in order, and says for whom; not for {0}")]
    Stanzas(usize),
    /// A share of X25519 that nobody may be asked to multiply.
    #[error(
        "stanza {0} is no X25519 share of the prime-order group: it was not made by a program \
         that keeps to the age format"
    )]
    BadStanza(usize),
    /// A stanza that is in nothing the domain signed.
    #[error(
        "stanza {0} is in no key object that a trusted domain signed: it may be somebody else's \
         file, and is not decrypted"
    )]
    NotVouched(usize),
    /// Enough parts, and none of the stanzas is for this key.
    #[error("none of the stanzas is wrapped for this recipient")]
    NotForUs,
    /// A calculation failed, which happens by bad luck with probability 2^-250.
    #[error("the calculation failed; begin anew")]
    Calculation,
}

impl Fault {
    pub(super) fn culprit(holder: u16, misdeed: Misdeed) -> Self {
        Self::Culprit { holder, misdeed }
    }
}

impl From<Malformed> for Fault {
    fn from(error: Malformed) -> Self {
        Self::Refused(error.into())
    }
}

impl From<RandomError> for Fault {
    fn from(error: RandomError) -> Self {
        Self::Refused(error.into())
    }
}
