#include "seal/note.h"

#include <gtest/gtest.h>

#include <array>

#include "base/error.h"
#include "hash/merkle.h"

namespace aftune::seal {
namespace {

constexpr std::string_view kVkey = "example.com/log+d455c521+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4";
constexpr std::string_view kEightLeaves =
    "example.com/log\n"
    "8\n"
    "XcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n"
    "\n"
    "— example.com/log "
    "1FXFIQghEbt48JV0nbbvyoj51oOGWi8PWVu51z3js1zWy2qLhh2zcvy6M2X+e8pEVRpGR/9z7MVVru29jIzLkdPuEwg=\n";
constexpr std::string_view kNoLeaves =
    "example.com/log\n"
    "0\n"
    "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
    "\n"
    "— example.com/log "
    "1FXFIXIShRBLxRBEZXqVdy1Nkx+1zbp9Y0+6j7NZG/kHjr9NfsYnV9EfS77h9cSpgRjjZDwPKs8Cs27wuiMjKxk9QgE=\n";

SecretKey counting_key() {
  std::array<std::uint8_t, 32> seed;
  for (std::size_t i = 0; i < seed.size(); ++i) seed[i] = static_cast<std::uint8_t>(i);
  return SecretKey::from_seed("example.com/log", seed);
}

hash::MerkleTree reference_tree() {
  hash::MerkleTree tree;
  for (const char* hex :
       {"", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"})
    tree.append(hash::leaf_hash(from_hex(hex)));
  return tree;
}

template <class Body>
std::string refusal(Body&& body) {
  try {
    body();
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::kEvidence) << e.what();
    EXPECT_EQ(std::string_view(e.what()).find('\n'), std::string_view::npos);
    return e.what();
  }
  return "accepted";
}

std::string note_refusal(std::string_view text) {
  return refusal([&] { Note::parse(text); });
}

std::string checkpoint_refusal(std::string_view text) {
  return refusal([&] { Checkpoint::parse(text); });
}

std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string out(text);
  return out.replace(out.find(from), from.size(), to);
}

TEST(Note, SpecificationVector) {
  const Note note = Note::parse(
      "This is an example message.\n"
      "\n"
      "— example.com/foo "
      "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n");
  EXPECT_EQ(note.text, "This is an example message.\n");
  ASSERT_EQ(note.signatures.size(), 1u);
  EXPECT_EQ(note.signatures[0].id, 0x530d903au);
  EXPECT_EQ(check_note(note, PublicKey::parse(
                                 "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k")),
            NoteCheck::kValid);
  EXPECT_EQ(check_note(note, PublicKey::parse(kVkey)), NoteCheck::kNoSignature);
}

TEST(Note, SignsTheCheckpointVectors) {
  const SecretKey key = counting_key();
  const hash::MerkleTree tree = reference_tree();
  for (const auto& [size, text] : {std::pair{8u, kEightLeaves}, std::pair{0u, kNoLeaves}}) {
    const Checkpoint checkpoint{"example.com/log", size, tree.root(size)};
    EXPECT_EQ(sign_checkpoint(checkpoint, key).to_text(), text);
    const Note parsed = Note::parse(text);
    EXPECT_EQ(parsed.to_text(), text);
    EXPECT_EQ(check_note(parsed, PublicKey::parse(kVkey)), NoteCheck::kValid);
    const Checkpoint read = Checkpoint::parse(parsed.text);
    EXPECT_EQ(read.origin, "example.com/log");
    EXPECT_EQ(read.size, size);
    EXPECT_EQ(read.root, tree.root(size));
    EXPECT_EQ(read.to_text(), parsed.text);
  }
}

// A cosignature (type 04) beside the log's own: a line by a key that is not asked about is ignored.
TEST(Note, OtherKeysLinesAreIgnored) {
  const std::string cosigned = std::string(kEightLeaves) +
                               "— witness.example/w1 "
                               "519lMgAAAABlU/EAfStwSUVx3/ravawXTb4/"
                               "XL+GUjg0vFCezhd86mvh9E5Q34cl6+cGbzffgN2zd6N+3KIa/2cCA813+YS8cqUUAw==\n";
  const Note note = Note::parse(cosigned);
  ASSERT_EQ(note.signatures.size(), 2u);
  EXPECT_EQ(note.signatures[1].id, 0xe75f6532u);
  EXPECT_EQ(note.signatures[1].signature.size(), 72u);
  EXPECT_EQ(note.to_text(), cosigned);
  EXPECT_EQ(check_note(note, PublicKey::parse(kVkey)), NoteCheck::kValid);
}

TEST(Note, ALineByTheKeyThatFailsSpoilsTheNote) {
  const PublicKey key = PublicKey::parse(kVkey);
  EXPECT_EQ(check_note(Note::parse(replaced(kEightLeaves, "\n8\n", "\n9\n")), key), NoteCheck::kBadSignature);
  Note note = Note::parse(kEightLeaves);
  NoteSignature bad = note.signatures[0];
  bad.signature[10] ^= std::byte{4};
  note.signatures.push_back(bad);
  EXPECT_EQ(check_note(note, key), NoteCheck::kBadSignature);
  std::swap(note.signatures[0], note.signatures[1]);
  EXPECT_EQ(check_note(note, key), NoteCheck::kBadSignature);
  note.signatures[0].id ^= 1;
  EXPECT_EQ(check_note(note, key), NoteCheck::kValid);
  note.signatures = {note.signatures[1]};
  note.signatures[0].signature.pop_back();
  EXPECT_EQ(check_note(note, key), NoteCheck::kBadSignature);
  note.signatures[0].name = "example.com/lag";
  EXPECT_EQ(check_note(note, key), NoteCheck::kNoSignature);
}

TEST(Note, EveryBitOfDamageIsRefusedOrFailsToVerify) {
  const PublicKey key = PublicKey::parse(kVkey);
  for (std::size_t bit = 0; bit < kEightLeaves.size() * 8; ++bit) {
    std::string bad(kEightLeaves);
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ 1 << bit % 8);
    try {
      ASSERT_NE(check_note(Note::parse(bad), key), NoteCheck::kValid) << bit;
    } catch (const Error& e) {
      ASSERT_EQ(e.fault(), Fault::kEvidence);
    }
  }
}

TEST(Note, TextAndSignaturesAreSplitAtTheLastEmptyLine) {
  const std::string_view line = kEightLeaves.substr(kEightLeaves.find("—"));
  const Note note = Note::parse(cat("first\n\nsecond\n\n\n", line));
  EXPECT_EQ(note.text, "first\n\nsecond\n\n");
  EXPECT_EQ(note.to_text(), cat("first\n\nsecond\n\n\n", line));
  // The checkpoint inside such a note is not taken for one.
  const Note doubled = Note::parse(replaced(kEightLeaves, "\n\n", "\n\n\n"));
  EXPECT_EQ(checkpoint_refusal(doubled.text), "a checkpoint has lines after its root");
  const Note nested = Note::parse(cat(kEightLeaves, "\n", line));
  EXPECT_EQ(nested.text, kEightLeaves);
  EXPECT_EQ(check_note(nested, PublicKey::parse(kVkey)), NoteCheck::kBadSignature);
}

TEST(Note, HostileNotesAreRefusedWithOneMessage) {
  const std::string good(kEightLeaves);
  const std::string line = good.substr(good.find("—"));
  EXPECT_EQ(note_refusal(""), "a note has no empty line before its signatures");
  EXPECT_EQ(note_refusal("\n"), "a note has no empty line before its signatures");
  EXPECT_EQ(note_refusal("text\n" + line), "a note has no empty line before its signatures");
  EXPECT_EQ(note_refusal("\n" + line), "a note has no empty line before its signatures");
  EXPECT_EQ(note_refusal("text\n\n"), "a note ends too early");
  EXPECT_EQ(note_refusal(good + "\n"), "a note ends too early");
  EXPECT_EQ(note_refusal(good.substr(0, good.size() - 1)), "a note has a torn last line");
  EXPECT_EQ(note_refusal(replaced(good, "— ", "- ")), "a note has a line that is no signature line");
  EXPECT_EQ(note_refusal(replaced(good, "— ", "—")), "a note has a line that is no signature line");
  EXPECT_EQ(note_refusal(replaced(good, "— ", "—  ")), "a key name is empty");
  EXPECT_EQ(note_refusal(replaced(good, "— example.com/log", "— example.com+log")), "a key name has a \"+\"");
  EXPECT_EQ(note_refusal(replaced(good, "log 1FXF", "log1FXF")),
            "a signature line of a note has no signature");
  EXPECT_EQ(note_refusal(replaced(good, "log 1FXF", "log  1FXF")),
            "a signature of a note: base64 text whose length is not a multiple of 4");
  EXPECT_EQ(note_refusal("t\n\n— n 1FXFIQ==\n"), "a signature of a note is too short");
  EXPECT_EQ(note_refusal("t\n\n— n \n"), "a signature of a note is too short");
  EXPECT_EQ(note_refusal(replaced(good, "Ewg=", "Ewh=")),
            "a signature of a note: base64 text with stray trailing bits");
  EXPECT_EQ(note_refusal(replaced(good, "\n8\n", "\n8\r\n")), "a note has a control character");
  EXPECT_EQ(note_refusal(replaced(good, "\n8\n", "\n\t8\n")), "a note has a control character");
  EXPECT_EQ(note_refusal(good + '\0'), "a note has a control character");
  EXPECT_EQ(note_refusal(replaced(good, "\n8\n", "\n8\xff\n")), "a note is not UTF-8");
  EXPECT_EQ(note_refusal(replaced(good, "\n8\n", "\n8\xed\xa0\x80\n")), "a note is not UTF-8");
}

TEST(Note, SizesAreBounded) {
  std::string many = "t\n\n";
  for (int i = 0; i < 64; ++i) many += "— n AAAAAAA=\n";
  EXPECT_EQ(note_refusal(many), "accepted");
  EXPECT_EQ(note_refusal(many + "— n AAAAAAA=\n"), "a note has more than 64 signatures");
  std::string million = "t\n\n";
  for (int i = 0; i < 1000000; ++i) million += "— n AAAAAAA=\n";
  EXPECT_EQ(note_refusal(million), "a note of 15000003 bytes, more than 65536");
  EXPECT_EQ(note_refusal(std::string(65536 - 19, 'x') + "\n\n— n AAAAAAA=\n"), "accepted");
  EXPECT_EQ(note_refusal(std::string(65536 - 16, 'x') + "\n\n— n AAAAAAA=\n"),
            "a note of 65537 bytes, more than 65536");
}

TEST(Checkpoint, RefusesEveryOtherForm) {
  const std::string root = "XcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=";
  EXPECT_EQ(checkpoint_refusal("o\n18446744073709551615\n" + root + "\n"), "accepted");
  EXPECT_EQ(checkpoint_refusal(""), "a checkpoint ends too early");
  EXPECT_EQ(checkpoint_refusal("o\n"), "a checkpoint ends too early");
  EXPECT_EQ(checkpoint_refusal("o\n8\n"), "a checkpoint ends too early");
  EXPECT_EQ(checkpoint_refusal("o\n8\n" + root), "a checkpoint has a torn last line");
  EXPECT_EQ(checkpoint_refusal("\n8\n" + root + "\n"), "a checkpoint has no origin");
  for (const char* size :
       {"08", "00", "", "-1", "+8", "8 ", " 8", "0x8", "8.0", "18446744073709551616", "1e3"})
    EXPECT_EQ(checkpoint_refusal(cat("o\n", size, "\n", root, "\n")),
              "a checkpoint's size is not a decimal number without leading zeros")
        << size;
  EXPECT_EQ(checkpoint_refusal("o\n8\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQw==\n"),
            "a checkpoint's root: 31 bytes instead of 32");
  EXPECT_EQ(checkpoint_refusal("o\n8\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQygA\n"),
            "a checkpoint's root: 33 bytes instead of 32");
  EXPECT_EQ(checkpoint_refusal("o\n8\n\n"), "a checkpoint's root: 0 bytes instead of 32");
  EXPECT_EQ(checkpoint_refusal("o\n8\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz-Nw7_RgQyg=\n"),
            "a checkpoint's root: not a base64 character");
  EXPECT_EQ(checkpoint_refusal("o\n8\n" + root + "\nextension\n"), "a checkpoint has lines after its root");
  EXPECT_EQ(checkpoint_refusal("o\n8\n" + root + "\n\n"), "a checkpoint has lines after its root");
}

TEST(Checkpoint, AnOriginIsOneLineOfText) {
  const SecretKey key = counting_key();
  for (const char* origin : {"", "a\nb", "a\rb", "a\xff"})
    EXPECT_THROW(sign_checkpoint({origin, 0, {}}, key), Error) << origin;
}

TEST(LeafProof, Vector) {
  const hash::MerkleTree tree = reference_tree();
  const LeafProof proof{5, tree.inclusion(5, 8), std::string(kEightLeaves)};
  const std::string text =
      cat("c2sp.org/tlog-proof@v1\n"
          "index 5\n"
          "vBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZnms=\n"
          "yoVOoSjtBQtBs1/8G4e46yveRh6eO1WW7Oa51ZdaCuA=\n"
          "037kGJdt2VdTwcc4Yrk5j6Kiz5tP8P3+izDNlSCWFLc=\n"
          "\n",
          kEightLeaves);
  EXPECT_EQ(proof.to_text(), text);
  const LeafProof read = LeafProof::parse(text);
  EXPECT_EQ(read.index, 5u);
  EXPECT_EQ(read.proof, proof.proof);
  EXPECT_EQ(read.note, kEightLeaves);
  const Checkpoint checkpoint = Checkpoint::parse(Note::parse(read.note).text);
  EXPECT_TRUE(
      hash::verify_inclusion(tree.leaves()[5], read.index, checkpoint.size, read.proof, checkpoint.root));
  // What another tool may put there is not authenticated, and not kept.
  EXPECT_EQ(LeafProof::parse(replaced(text, "index", "extra aGk=\nindex")).to_text(), text);
}

TEST(LeafProof, OfATreeOfOneHasNoHashes) {
  const LeafProof proof{0, {}, std::string(kEightLeaves)};
  EXPECT_EQ(LeafProof::parse(proof.to_text()).proof.size(), 0u);
}

TEST(LeafProof, RefusesEveryOtherForm) {
  const auto refused = [](std::string_view text) { return refusal([&] { LeafProof::parse(text); }); };
  const std::string good =
      LeafProof{5, reference_tree().inclusion(5, 8), std::string(kEightLeaves)}.to_text();
  EXPECT_EQ(refused(""), "a proof ends too early");
  EXPECT_EQ(refused(replaced(good, "@v1", "@v2")), "a proof does not begin with \"c2sp.org/tlog-proof@v1\"");
  EXPECT_EQ(refused(replaced(good, "index 5", "index 05")),
            "a proof's index is not a decimal number without leading zeros");
  EXPECT_EQ(refused(replaced(good, "index 5\n", "")), "a proof has no \"index\" line where one must be");
  EXPECT_EQ(refused(replaced(good, "index", "extra ?\nindex")),
            "a proof's extra line: base64 text whose length is not a multiple of 4");
  EXPECT_EQ(refused(replaced(good, "vBoGQ7Eu", "vBoG")), "a hash of a proof: 29 bytes instead of 32");
  EXPECT_EQ(refused(replaced(good, "\n\nexample", "\nexample")),
            "a hash of a proof: base64 text whose length is not a multiple of 4");
  EXPECT_EQ(refused(good.substr(0, good.find("\n\n") + 2)), "a proof has no checkpoint");
  EXPECT_EQ(refused(good.substr(0, good.find("\n\n") + 1)), "a proof ends too early");
  std::string many = "c2sp.org/tlog-proof@v1\nindex 5\n";
  for (int i = 0; i < 65; ++i) many += "vBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZnms=\n";
  EXPECT_EQ(refused(many + "\n" + std::string(kEightLeaves)), "a proof has more than 64 hashes");
  EXPECT_EQ(refused(good + std::string(70000, 'x')), "a note of 70177 bytes, more than 65536");
}

// A line by a key may stand twice; each must verify (docs/seal.md).
TEST(Note, DuplicatedLinesAreEachChecked) {
  Note note = Note::parse(kEightLeaves);
  for (int i = 0; i < 63; ++i) note.signatures.push_back(note.signatures[0]);
  const Note read = Note::parse(note.to_text());
  EXPECT_EQ(read.signatures.size(), 64u);
  EXPECT_EQ(check_note(read, PublicKey::parse(kVkey)), NoteCheck::kValid);
  note.signatures.back().signature.back() ^= std::byte{1};
  EXPECT_EQ(check_note(note, PublicKey::parse(kVkey)), NoteCheck::kBadSignature);
}

TEST(ConsistencyProof, IsTheBodyThatWitnessesTake) {
  const hash::MerkleTree tree = reference_tree();
  const ConsistencyProof proof{6, tree.consistency(6, 8), std::string(kEightLeaves)};
  const std::string text =
      cat("old 6\n"
          "DrxdNDf74tsVi58Sah0RjjCBgQMdCpSfje3t68VY72o=\n"
          "yoVOoSjtBQtBs1/8G4e46yveRh6eO1WW7Oa51ZdaCuA=\n"
          "037kGJdt2VdTwcc4Yrk5j6Kiz5tP8P3+izDNlSCWFLc=\n"
          "\n",
          kEightLeaves);
  EXPECT_EQ(proof.to_text(), text);
  const ConsistencyProof read = ConsistencyProof::parse(text);
  EXPECT_EQ(read.old_size, 6u);
  EXPECT_EQ(read.proof, proof.proof);
  EXPECT_EQ(read.note, kEightLeaves);
  EXPECT_EQ(ConsistencyProof::parse(cat("old 8\n\n", kEightLeaves)).proof.size(), 0u);
}

TEST(ConsistencyProof, RefusesEveryOtherForm) {
  const auto refused = [](std::string_view text) { return refusal([&] { ConsistencyProof::parse(text); }); };
  const std::string good =
      ConsistencyProof{6, reference_tree().consistency(6, 8), std::string(kEightLeaves)}.to_text();
  EXPECT_EQ(refused(""), "a consistency proof ends too early");
  EXPECT_EQ(refused(replaced(good, "old 6", "old 06")),
            "a consistency proof's old size is not a decimal number without leading zeros");
  EXPECT_EQ(refused(replaced(good, "old", "new")),
            "a consistency proof has no \"old\" line where one must be");
  EXPECT_EQ(refused(replaced(good, "DrxdNDf7", "DrxdND==")), "a hash of a proof: not a base64 character");
  EXPECT_EQ(refused(replaced(good, "\n\nexample", "\nexample")),
            "a hash of a proof: base64 text whose length is not a multiple of 4");
  EXPECT_EQ(refused(good.substr(0, good.find("\n\n") + 2)), "a proof has no checkpoint");
  EXPECT_EQ(refused(good + std::string(70000, 'x')), "a note of 70177 bytes, more than 65536");
  std::string many = "old 6\n";
  for (int i = 0; i < 63; ++i) many += "vBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZnms=\n";
  EXPECT_EQ(refused(cat(many, "\n", kEightLeaves)), "accepted");
  EXPECT_EQ(refused(cat(many, "vBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZnms=\n\n", kEightLeaves)),
            "a proof has more than 63 hashes");
}

TEST(Extension, HoldsForEveryOlderSizeAndNothingElse) {
  const hash::MerkleTree tree = reference_tree();
  const auto at = [&](std::uint64_t size) { return Checkpoint{"o", size, tree.root(size)}; };
  for (std::uint64_t to = 1; to <= 8; ++to)
    for (std::uint64_t from = 1; from <= to; ++from) {
      const std::vector<Digest> proof = tree.consistency(from, to);
      EXPECT_EQ(extension_problem(at(from), at(to), proof), "");
      Checkpoint forked = at(from);
      forked.root.bytes[0] ^= 1;
      EXPECT_NE(extension_problem(forked, at(to), proof), "");
      std::vector<Digest> longer = proof;
      longer.push_back(tree.root());
      EXPECT_NE(extension_problem(at(from), at(to), longer), "");
    }
  EXPECT_EQ(extension_problem(at(8), at(5), {}), "it seals 5 leaves, the earlier checkpoint 8");
  EXPECT_EQ(extension_problem(at(0), at(5), {}),
            "the earlier checkpoint is of an empty log, which every log extends");
  EXPECT_EQ(extension_problem(at(4), {"p", 5, tree.root(5)}, tree.consistency(4, 5)),
            "origin p is another log than o");
  EXPECT_EQ(extension_problem(at(4), {"o", 4, tree.root(3)}, {}),
            cat("two roots of size 4: ", to_hex(tree.root(4)), " and ", to_hex(tree.root(3))));
}

}  // namespace
}  // namespace aftune::seal
