#include "seal/keys.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "base/error.h"
#include "seal/key_file.h"

namespace aftune::seal {
namespace {

constexpr std::string_view kVkey = "example.com/log+d455c521+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4";
constexpr std::string_view kSecretText =
    "PRIVATE+KEY+example.com/log+d455c521+AQABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n";

std::array<std::uint8_t, 32> counting_seed() {
  std::array<std::uint8_t, 32> seed;
  for (std::size_t i = 0; i < seed.size(); ++i) seed[i] = static_cast<std::uint8_t>(i);
  return seed;
}

template <std::size_t kSize>
std::array<std::uint8_t, kSize> array_from_hex(std::string_view hex) {
  const Bytes raw = from_hex(hex);
  std::array<std::uint8_t, kSize> out;
  std::memcpy(out.data(), raw.data(), kSize);
  return out;
}

std::string no_passphrase() {
  ADD_FAILURE() << "asked for a passphrase";
  return "";
}

// What the call says is wrong, and whose fault it is.
template <class Body>
std::string refusal(Fault fault, Body&& body) {
  try {
    body();
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), fault) << e.what();
    return e.what();
  }
  return "accepted";
}

std::string vkey_refusal(std::string_view vkey) {
  return refusal(Fault::kEvidence, [&] { PublicKey::parse(vkey); });
}

std::string secret_refusal(std::string_view text) {
  return refusal(Fault::kUsage, [&] { SecretKey::parse(text, no_passphrase); });
}

TEST(PublicKey, VectorOfTheCountingSeed) {
  const SecretKey secret = SecretKey::from_seed("example.com/log", counting_seed());
  const PublicKey& key = secret.public_key();
  EXPECT_EQ(to_hex(std::as_bytes(std::span(key.key()))),
            "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8");
  EXPECT_EQ(key.id(), 0xd455c521u);
  EXPECT_EQ(key.vkey(), kVkey);
  EXPECT_EQ(secret.to_text(""), kSecretText);
}

TEST(PublicKey, ParsesWhatItPrints) {
  for (const std::string& text : {std::string(kVkey), std::string(kVkey) + '\n'}) {
    const PublicKey key = PublicKey::parse(text);
    EXPECT_EQ(key.name(), "example.com/log");
    EXPECT_EQ(key.vkey(), kVkey);
  }
  // The base64 part may hold a "+" of its own.
  const std::string spec = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
  EXPECT_EQ(PublicKey::parse(spec).vkey(), spec);
  EXPECT_EQ(PublicKey("schlüssel", PublicKey::parse(spec).key()).name(), "schlüssel");
}

TEST(PublicKey, RefusesEverythingElse) {
  EXPECT_EQ(vkey_refusal(""), "a public key is not of the form <name>+<id>+<key>");
  EXPECT_EQ(vkey_refusal("example.com/log"), "a public key is not of the form <name>+<id>+<key>");
  EXPECT_EQ(vkey_refusal("example.com/log+d455c521"), "a public key is not of the form <name>+<id>+<key>");
  EXPECT_EQ(vkey_refusal("+d455c521+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"), "a key name is empty");
  EXPECT_EQ(vkey_refusal("example.com/log+d455c522+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"),
            "a public key's ID is \"d455c522\", but its name and key give d455c521");
  EXPECT_EQ(vkey_refusal("example.com/log+D455C521+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"),
            "a public key's ID: not a lower-case hex digit");
  EXPECT_EQ(vkey_refusal("example.com/log+d455c521+AgOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"),
            "a public key is not of type Ed25519");
  // The ID covers the type: a log's key does not turn into a witness's.
  EXPECT_EQ(vkey_refusal("example.com/log+d455c521+BAOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"),
            "a public key's ID is \"d455c521\", but its name and key give 07bdbe2a");
  EXPECT_EQ(vkey_refusal("witness.example/w1+e75f6532+BAOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"),
            "the key of witness.example/w1 is a witness's, not a log's");
  EXPECT_EQ(vkey_refusal("example.com/log+d455c521+"), "a public key is not of type Ed25519");
  EXPECT_EQ(vkey_refusal("example.com/log+d455c521+AQOhB7/z"),
            "an Ed25519 public key has 5 bytes instead of 32");
  EXPECT_EQ(vkey_refusal("example.com/log+d455c521+AQ=="), "an Ed25519 public key has 0 bytes instead of 32");
  EXPECT_EQ(vkey_refusal("example.com/log+d455c521+AQOh*7/z"), "public key: not a base64 character");
  EXPECT_EQ(vkey_refusal(std::string(kVkey) + "\n\n"),
            "public key: base64 text whose length is not a multiple of 4");
  EXPECT_EQ(vkey_refusal(std::string(kVkey) + "\r\n"),
            "public key: base64 text whose length is not a multiple of 4");
  EXPECT_EQ(vkey_refusal(' ' + std::string(kVkey)), "a key name has a space");
}

TEST(PublicKey, RefusesPointsThatAnyMessageCouldVerifyUnder) {
  // The neutral element, a point of order 8, and a y that is on no point.
  for (const char* hex : {"0100000000000000000000000000000000000000000000000000000000000000",
                          "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
                          "0200000000000000000000000000000000000000000000000000000000000000"}) {
    const PublicKey weak("n", array_from_hex<32>(hex));
    EXPECT_EQ(vkey_refusal(weak.vkey()), "a public key is not a point of Ed25519");
  }
}

TEST(PublicKey, EverySingleCharacterChangedIsRefused) {
  const std::string good(kVkey);
  for (std::size_t i = 0; i < good.size(); ++i)
    for (int c = 0; c < 256; ++c) {
      std::string bad = good;
      bad[i] = static_cast<char>(c);
      if (bad == good) continue;
      ASSERT_THROW(PublicKey::parse(bad), Error) << i << ' ' << c;
    }
}

TEST(KeyName, ListsWhatIsNoName) {
  const auto problem = [](std::string_view name) {
    return refusal(Fault::kUsage, [&] { check_key_name(name); });
  };
  for (const char* good : {"a", "example.com/log", "Ключ", "a\xe2\x80\x94z", "\xf0\x9f\x94\x91"})
    EXPECT_EQ(problem(good), "accepted") << good;
  EXPECT_EQ(problem(""), "a key name is empty");
  EXPECT_EQ(problem(std::string(255, 'x')), "accepted");
  EXPECT_EQ(problem(std::string(256, 'x')), "a key name is longer than 255 bytes");
  EXPECT_EQ(problem("a+b"), "a key name has a \"+\"");
  for (const char* spaced : {"a b", "a\xc2\xa0", "\xe1\x9a\x80", "\xe2\x80\x80", "\xe2\x80\x8a",
                             "\xe2\x80\xa8", "\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80"})
    EXPECT_EQ(problem(spaced), "a key name has a space") << spaced;
  for (const char* control : {"a\n", "\t", "\x7f", "\xc2\x85", "\xc2\x9f", "\x1f"})
    EXPECT_EQ(problem(control), "a key name has a control character");
  EXPECT_EQ(problem(std::string_view("a\0b", 3)), "a key name has a control character");
  for (const char* bad : {"\xff", "\xc2", "\xed\xa0\x80", "\xc0\xaf"})
    EXPECT_EQ(problem(bad), "a key name is not UTF-8");
}

TEST(SecretKey, Rfc8032Vectors) {
  struct {
    const char *seed, *key, *message, *signature;
  } const vectors[] = {{"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
                        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
                        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e"
                        "39701cf9b46bd25bf5f0"
                        "595bbe24655141438e7a100b"},
                       {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
                        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
                        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f"
                        "3613d0f11d8c387b2eae"
                        "b4302aeeb00d291612bb0c00"}};
  for (const auto& v : vectors) {
    const SecretKey secret = SecretKey::from_seed("rfc8032", array_from_hex<32>(v.seed));
    EXPECT_EQ(to_hex(std::as_bytes(std::span(secret.public_key().key()))), v.key);
    const Bytes message = from_hex(v.message);
    const Signature signature = secret.sign(message);
    EXPECT_EQ(to_hex(std::as_bytes(std::span(signature))), v.signature);
    EXPECT_TRUE(secret.public_key().verify(message, signature));
  }
}

TEST(SecretKey, SignatureFailsForEveryBitOfDamage) {
  const SecretKey secret = SecretKey::from_seed("n", counting_seed());
  Signature signature = secret.sign(as_bytes("message"));
  EXPECT_FALSE(secret.public_key().verify(as_bytes("messagf"), signature));
  for (std::size_t bit = 0; bit < 512; ++bit) {
    signature[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
    ASSERT_FALSE(secret.public_key().verify(as_bytes("message"), signature)) << bit;
    signature[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
  }
  EXPECT_TRUE(secret.public_key().verify(as_bytes("message"), signature));
}

TEST(SecretKey, NonCanonicalSignatureIsRefused) {
  const SecretKey secret = SecretKey::from_seed("n", counting_seed());
  Signature signature = secret.sign(as_bytes("message"));
  // S + L, with the group order L: the same equation, other bytes.
  const auto order = array_from_hex<32>("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
  unsigned carry = 0;
  for (std::size_t i = 0; i < 32; ++i) {
    carry += signature[32 + i] + order[i];
    signature[32 + i] = static_cast<std::uint8_t>(carry);
    carry >>= 8;
  }
  EXPECT_FALSE(secret.public_key().verify(as_bytes("message"), signature));
}

TEST(SecretKey, PlainFormRoundTrips) {
  const SecretKey key = SecretKey::parse(kSecretText, no_passphrase);
  EXPECT_EQ(key.public_key().vkey(), kVkey);
  EXPECT_EQ(key.to_text(""), kSecretText);
  const SecretKey generated = SecretKey::generate("new");
  EXPECT_EQ(SecretKey::parse(generated.to_text(""), no_passphrase).public_key().vkey(),
            generated.public_key().vkey());
  EXPECT_NE(SecretKey::generate("new").public_key().vkey(), generated.public_key().vkey());
}

TEST(SecretKey, PlainFormRefusesEverythingElse) {
  EXPECT_EQ(secret_refusal(""), "not a secret key");
  EXPECT_EQ(secret_refusal(kVkey), "not a secret key");
  EXPECT_EQ(secret_refusal("PRIVATE+KEY+"), "a secret key is not PRIVATE+KEY+<name>+<id>+<key>");
  EXPECT_EQ(secret_refusal("PRIVATE+KEY+n+00000000+AQ=="), "secret key: 1 bytes instead of 33");
  EXPECT_EQ(
      secret_refusal("PRIVATE+KEY+example.com/log+d455c521+AgABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"),
      "a secret key is not of type Ed25519");
  EXPECT_EQ(
      secret_refusal("PRIVATE+KEY+example.com/lag+d455c521+AQABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"),
      "a secret key does not belong to its name and ID");
  EXPECT_EQ(secret_refusal("PRIVATE+KEY+a b+d455c521+AQABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"),
            "a key name has a space");
}

std::string encrypted_vector() {
  std::ifstream file(AFTUNE_TESTS_DIR "/vectors/keys/encrypted.key");
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::function<std::string()> answer(std::string passphrase) {
  return [passphrase] { return passphrase; };
}

TEST(SecretKey, EncryptedFormMadeByAnotherImplementation) {
  const SecretKey key = SecretKey::parse(encrypted_vector(), answer("correct horse battery staple"));
  EXPECT_EQ(key.public_key().vkey(), kVkey);
  EXPECT_EQ(key.to_text(""), kSecretText);
}

TEST(SecretKey, EncryptedFormRoundTrips) {
  const SecretKey key = SecretKey::from_seed("example.com/log", counting_seed());
  const std::string text = key.to_text("pass phrase");
  EXPECT_TRUE(text.starts_with("aftune-secret-key/1\nvkey example.com/log+d455c521+"));
  EXPECT_NE(text.find("\nargon2id 3 268435456\n"), text.npos);
  EXPECT_EQ(SecretKey::parse(text, answer("pass phrase")).to_text(""), kSecretText);
  const auto seed = counting_seed();
  const auto cheap = [&] {
    return encrypted_key_text(key.public_key(), std::as_bytes(std::span(seed)), "p", {1, 8192});
  };
  EXPECT_NE(cheap(), cheap());  // salt and nonce are new each time
}

TEST(SecretKey, WrongPassphraseAndAlterationsAreTold) {
  const auto refused = [](const std::string& text, const char* passphrase = "correct horse battery staple") {
    return refusal(Fault::kUsage, [&] { SecretKey::parse(text, answer(passphrase)); });
  };
  const std::string good = encrypted_vector();
  EXPECT_EQ(refused(good, "correct horse"), "wrong passphrase, or the key file was altered");
  EXPECT_EQ(refused(good, ""), "wrong passphrase, or the key file was altered");
  const auto with = [&](std::string_view from, std::string_view to) {
    std::string text = good;
    return text.replace(text.find(from), from.size(), to);
  };
  EXPECT_EQ(refused(with("key/1", "key/2")), "not a key file of this version");
  EXPECT_EQ(refused(with("argon2id 2", "argon2id 3")), "wrong passphrase, or the key file was altered");
  EXPECT_EQ(refused(with("argon2id 2", "argon2id 02")),
            "a key file's number of passes is not a decimal number without leading zeros");
  EXPECT_EQ(refused(with("argon2id 2", "argon2id 0")), "a key file asks for 0 passes, not within 1 and 16");
  EXPECT_EQ(refused(with("argon2id 2", "argon2id 17")), "a key file asks for 17 passes, not within 1 and 16");
  EXPECT_EQ(refused(with("1048576", "1073741825")),
            "a key file asks for 1073741825 bytes of memory, not within 8192 and 1073741824");
  EXPECT_EQ(refused(with("1048576", "18446744073709551615")),
            "a key file asks for 18446744073709551615 bytes of memory, not within 8192 and 1073741824");
  EXPECT_EQ(refused(with("1048576", "18446744073709551616")),
            "a key file's memory size is not a decimal number without leading zeros");
  EXPECT_EQ(refused(with("1048576", "100")),
            "a key file asks for 100 bytes of memory, not within 8192 and 1073741824");
  EXPECT_EQ(refused(with("salt Z", "salt ")), "salt: base64 text whose length is not a multiple of 4");
  EXPECT_EQ(refused(with("salt ", "slat ")), "a key file has no \"salt\" line where one must be");
  EXPECT_EQ(refused(with("sealed YKze", "sealed ")), "sealed: 45 bytes instead of 48");
  EXPECT_EQ(refused(good + '\n'), "a key file has text after its last line");
  EXPECT_EQ(refused(good.substr(0, good.size() - 1)), "a key file has a torn last line");
  EXPECT_EQ(refused("aftune-secret-key/1\n"), "a key file ends too early");
}

TEST(SecretKey, EncryptedFormIsBoundInEveryByte) {
  const std::string good = encrypted_vector();
  for (std::size_t i = 0; i < good.size(); i += 3) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    EXPECT_THROW(SecretKey::parse(bad, answer("correct horse battery staple")), Error) << i;
  }
}

TEST(SecretKey, FilesAreReadWithTheirNameInMessages) {
  const fs::path folder = fs::path(AFTUNE_SCRATCH_DIR) / "keys_test";
  fs::create_directories(folder);
  write_file(folder / "k.key", kSecretText, 0600);
  write_file(folder / "k.vkey", std::string(kVkey) + '\n');
  EXPECT_EQ(SecretKey::read(folder / "k.key", no_passphrase).public_key().vkey(), kVkey);
  EXPECT_EQ(PublicKey::read(folder / "k.vkey").vkey(), kVkey);
  const std::string swapped = refusal(Fault::kUsage, [&] { PublicKey::read(folder / "k.key"); });
  EXPECT_TRUE(swapped.starts_with((folder / "k.key").native() + ": ")) << swapped;
  EXPECT_EQ(swapped.find("AQABAgMEBQ"), swapped.npos) << "a secret must not reach an error message";
  const std::string wrong =
      refusal(Fault::kUsage, [&] { SecretKey::read(folder / "k.vkey", no_passphrase); });
  EXPECT_EQ(wrong, (folder / "k.vkey").native() + ": not a secret key");
  write_file(folder / "big", std::string(5000, 'x'));
  refusal(Fault::kUsage, [&] { PublicKey::read(folder / "big"); });
  refusal(Fault::kUsage, [&] { SecretKey::read(folder / "absent", no_passphrase); });
  fs::remove_all(folder);
}

TEST(SecretKey, MovesLeaveNothingBehind) {
  SecretKey a = SecretKey::from_seed("n", counting_seed());
  const Signature expected = a.sign(as_bytes("m"));
  const SecretKey b = std::move(a);
  EXPECT_EQ(b.sign(as_bytes("m")), expected);
}

}  // namespace
}  // namespace aftune::seal
