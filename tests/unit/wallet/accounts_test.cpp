// Accounts of two kinds: who pays what, and where secrets are.
#include "wallet/accounts.h"

#include <algorithm>
#include <cstdlib>
#include <map>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include "tests/unit/folder.h"
#include "wallet/key_file.h"

namespace paycurl {
namespace {

constexpr std::string_view kConnection = "phoenixd://hunter2hunter2@127.0.0.1:9740";
const std::string kAddress = "phoenixd:http://127.0.0.1:9740";

Secret secret_of(std::string_view text) {
  Secret secret;
  secret.assign({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
  return secret;
}

/// A keychain in memory; away when `state` is set.
struct FakeKeys : Keystore {
  std::map<std::string, std::string> keys;
  std::string away;

  Result<KeyListing> list() override {
    if (!away.empty()) return Error{Kind::account, "away", "", away};
    KeyListing listing;
    for (const auto& [name, hex] : keys) {
      listing.keys.push_back({name, false});
    }
    return listing;
  }
  Result<PrivateKey> load(const std::string& name) override {
    return PrivateKey::parse(keys[name]);
  }
  Result<> store(const std::string& name, const PrivateKey& key) override {
    keys[name] = key.hex().text();
    return {};
  }
  Result<> remove(const std::string& name) override {
    keys.erase(name);
    return {};
  }
};

struct FakeSecrets : SecretStore {
  std::map<std::string, std::string> secrets;
  std::string away;

  Result<KeyListing> list(SecretPurpose) override {
    if (!away.empty()) return Error{Kind::account, "away", "", away};
    KeyListing listing;
    for (const auto& [name, text] : secrets) {
      listing.keys.push_back({name, false});
    }
    return listing;
  }
  Result<Secret> load(SecretPurpose, const std::string& name) override {
    if (!secrets.contains(name)) return Error{Kind::account, "not there", "", "no_account"};
    return secret_of(secrets[name]);
  }
  Result<> store(SecretPurpose, const std::string& name, const Secret& secret, bool) override {
    secrets[name] = secret.text();
    return {};
  }
  Result<> remove(SecretPurpose, const std::string& name) override {
    secrets.erase(name);
    return {};
  }
};

struct World {
  test::Folder folder;
  Database database = std::move(**Database::open(folder / "state", true));
  Settings settings;
  FakeKeys keychain, files;
  FakeSecrets secrets, secret_files;
  Accounts accounts{settings,
                    &database,
                    {&keychain, &files, &secrets, &secret_files},
                    [](std::string_view, bool) { return secret_of("password"); }};

  void add_key(const std::string& name) {
    const PrivateKey key = PrivateKey::generate();
    REQUIRE(keychain.store(name, key).has_value());
    REQUIRE(accounts.add({name, "tempo", key.address().checksummed(), "keychain"}).has_value());
  }
  void add_wallet(const std::string& name, const std::string& network = "regtest") {
    secrets.secrets[name] = kConnection;
    REQUIRE(accounts.add({name, "lightning", kAddress, "node", false, false, network}).has_value());
  }
  std::string wallet_of(const PayerChoice& choice = {}) {
    auto chosen = accounts.choose(choice, "lightning");
    if (!chosen) return chosen.error().reason;
    CHECK(chosen->account.is_wallet());
    return chosen->account.name;
  }
  std::string key_of(const PayerChoice& choice = {}) {
    auto chosen = accounts.choose(choice, "tempo");
    if (!chosen) return chosen.error().reason;
    CHECK_FALSE(chosen->account.is_wallet());
    return chosen->account.name;
  }
};

PayerChoice named(const std::string& name) {
  PayerChoice choice;
  choice.account = name;
  return choice;
}

/// A descriptor that gives `text` and ends.
int descriptor_of(std::string_view text) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  REQUIRE(::write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  ::close(ends[1]);
  return ends[0];
}

TEST_CASE("each kind of account has a default of its own") {
  World world;
  CHECK(world.wallet_of() == "no_account");
  world.add_key("main");
  world.add_wallet("node");
  world.add_wallet("other");
  world.add_key("second");
  CHECK(world.key_of() == "main");
  CHECK(world.wallet_of() == "node");
  REQUIRE(world.accounts.set_default(*world.accounts.find("other")).has_value());
  CHECK(world.wallet_of() == "other");
  CHECK(world.key_of() == "main");
  REQUIRE(world.accounts.set_default(*world.accounts.find("second")).has_value());
  CHECK(world.wallet_of() == "other");
  CHECK(world.key_of() == "second");
  REQUIRE(world.accounts.forget("other").has_value());
  CHECK(world.wallet_of() == "no_account");  // the other wallet was not chosen by anybody
  std::string note;
  const auto all = world.accounts.list(note);
  REQUIRE(all.has_value());
  CHECK(std::count_if(all->begin(), all->end(), [](const Account& a) { return a.is_default; }) ==
        1);
}

TEST_CASE("an account of the other kind is never taken instead") {
  World world;
  world.add_key("key");
  world.add_wallet("node");
  const auto key = world.accounts.choose(named("node"), "tempo");
  REQUIRE_FALSE(key.has_value());
  CHECK(key.error().kind == Kind::account);
  CHECK(key.error().message.find("\"node\" is a Lightning wallet") != std::string::npos);
  const auto wallet = world.accounts.choose(named("key"), "lightning");
  REQUIRE_FALSE(wallet.has_value());
  CHECK(wallet.error().kind == Kind::account);
  CHECK(wallet.error().message.find("\"key\" is no Lightning wallet") != std::string::npos);
  CHECK(world.wallet_of(named("nobody")) == "no_account");
}

TEST_CASE("PAYCURL_ACCOUNT speaks of one kind, and of the other the default does") {
  World world;
  world.add_key("key");
  world.add_key("named");
  world.add_wallet("node");
  world.add_wallet("own");
  world.settings.account = "own";
  CHECK(world.wallet_of() == "own");
  CHECK(world.key_of() == "key");
  world.settings.account = "named";
  CHECK(world.wallet_of() == "node");
  CHECK(world.key_of() == "named");
  world.settings.account = "misspelt";
  CHECK(world.wallet_of() == "no_account");
  CHECK(world.key_of() == "no_account");
}

TEST_CASE("wallets that are handed over come first, and the variable goes away") {
  World world;
  world.add_wallet("node");
  ::setenv("PAYCURL_WALLET", std::string(kConnection).c_str(), 1);
  const char* in_place = ::getenv("PAYCURL_WALLET");
  world.settings.has_wallet = true;
  PayerChoice choice = named("node");
  choice.wallet_fd = descriptor_of(std::string(kConnection) + "\n");
  auto handed = world.accounts.choose(choice, "lightning");
  REQUIRE(handed.has_value());
  CHECK(handed->account.name == "wallet-fd");
  CHECK(handed->account.address.empty());
  CHECK(world.accounts.connection(std::move(*handed))->text() == kConnection);
  ::close(*choice.wallet_fd);
  CHECK(world.wallet_of(named("node")) == "node");
  CHECK(::getenv("PAYCURL_WALLET") != nullptr);  // nobody needed it so far
  auto taken = world.accounts.choose({}, "lightning");
  REQUIRE(taken.has_value());
  CHECK(taken->account.name == "env");
  CHECK(taken->account.source == "env");
  CHECK(world.accounts.connection(std::move(*taken))->text() == kConnection);
  CHECK(::getenv("PAYCURL_WALLET") == nullptr);
  CHECK(std::string_view(in_place).find("hunter2") == std::string_view::npos);
}

TEST_CASE("a wallet variable that is empty or too long is an error") {
  World world;
  world.add_wallet("node");
  world.settings.has_wallet = true;
  ::setenv("PAYCURL_WALLET", "", 1);
  auto chosen = world.accounts.choose({}, "lightning");
  REQUIRE_FALSE(chosen.has_value());
  CHECK(chosen.error().kind == Kind::account);
  ::setenv("PAYCURL_WALLET", std::string(5000, 'x').c_str(), 1);
  chosen = world.accounts.choose({}, "lightning");
  REQUIRE_FALSE(chosen.has_value());
  CHECK(chosen.error().kind == Kind::account);
  CHECK(chosen.error().message.find("xxx") == std::string::npos);
  ::unsetenv("PAYCURL_WALLET");
}

TEST_CASE("a wallet whose row was lost is found by its secret") {
  World world;
  world.secrets.secrets["orphan"] = kConnection;
  world.secret_files.secrets["filed"] = kConnection;
  CHECK(world.accounts.find("orphan")->is_wallet());
  CHECK(world.accounts.find("orphan")->address.empty());
  CHECK(world.accounts.find("filed")->locked);
  std::string note;
  CHECK(world.accounts.list(note)->size() == 2);
  CHECK(world.wallet_of() == "no_account");  // it is nobody's default
  CHECK(world.wallet_of(named("orphan")) == "orphan");
}

TEST_CASE("what is recorded needs no keychain until it pays") {
  World world;
  world.add_wallet("node");
  world.keychain.away = world.secrets.away = "no_bus";
  CHECK(world.wallet_of() == "node");
  CHECK(world.accounts.find("node")->network == "regtest");
  CHECK(world.wallet_of(named("other")) == "no_bus");  // perhaps it is there
}

TEST_CASE("databases from before wallets keep their accounts") {
  World world;
  world.add_key("old");
  for (const char* step :
       {"ALTER TABLE accounts DROP COLUMN network", "ALTER TABLE payments DROP COLUMN swap",
        "DROP TABLE escrows", "DROP INDEX payments_by_run", "DROP INDEX payments_by_reference",
        "DROP INDEX payments_by_origin", "DROP INDEX payments_by_once",
        "DROP INDEX payments_paid_once", "ALTER TABLE payments DROP COLUMN run",
        "ALTER TABLE payments DROP COLUMN run_amount", "ALTER TABLE payments DROP COLUMN raised",
        "ALTER TABLE payments DROP COLUMN price"}) {
    REQUIRE(world.database.run(step).has_value());
  }
  REQUIRE(world.database.run("PRAGMA user_version=2").has_value());
  auto again = Database::open(world.folder / "state", false);
  REQUIRE(again.has_value());
  Accounts accounts(world.settings, &**again,
                    {&world.keychain, &world.files, &world.secrets, &world.secret_files}, {});
  CHECK(accounts.find("old")->is_default);
  CHECK(accounts.find("old")->network.empty());
}

TEST_CASE("names that may be secrets are refused and not repeated") {
  for (const std::string& name :
       {std::string(kConnection), "lndconnect:" + std::string(20, 'm'), std::string(180, 'a'),
        std::string("nostr+walletconnect:abc"), std::string(64, 'f')}) {
    CAPTURE(name);
    const auto valid = check_account_name(name);
    REQUIRE_FALSE(valid.has_value());
    CHECK(valid.error().kind == Kind::usage);
    const std::string all = valid.error().message + valid.error().hint;
    CHECK(all.find(name.substr(0, 9)) == std::string::npos);
  }
}

constexpr Scrypt kCheap{2, 8, 1};

TEST_CASE("a secret's file opens with its password and for its purpose only") {
  const Secret password = secret_of("correct horse");
  for (const std::size_t size : {std::size_t{1}, std::size_t{700}, Secret::kCapacity}) {
    const std::string plain(size, 's');
    const auto text = seal_secret_file(secret_of(plain), "lightning-wallet", password, kCheap);
    REQUIRE(text.has_value());
    CHECK(text->find("sss") == std::string::npos);
    const auto file = parse_secret_file(*text, "lightning-wallet");
    REQUIRE(file.has_value());
    CHECK(open_secret_file(*file, "lightning-wallet", password)->text() == plain);
    CHECK_FALSE(parse_secret_file(*text, "l402-token").has_value());
    CHECK(open_secret_file(*file, "l402-token", password).error().reason == "password");
    CHECK(open_secret_file(*file, "lightning-wallet", secret_of("wrong")).error().reason ==
          "password");
    for (Bytes Sealed::*part : {&Sealed::iv, &Sealed::ciphertext, &Sealed::salt, &Sealed::mac}) {
      Sealed changed = *file;
      (changed.*part)[0] ^= 1;
      CHECK_FALSE(open_secret_file(changed, "lightning-wallet", password).has_value());
    }
  }
}

TEST_CASE("keys and other secrets are never taken for each other") {
  const Secret password = secret_of("p");
  const PrivateKey key = PrivateKey::generate();
  const auto secret_file =
      seal_secret_file(key.secret(), "lightning-wallet", password, kCheap);  // 32 bytes
  CHECK_FALSE(parse_key_file(*secret_file).has_value());
  const auto key_file = seal_key_file(key, password, kCheap);
  CHECK_FALSE(parse_secret_file(*key_file, "lightning-wallet").has_value());
  CHECK(open_key_file(*parse_key_file(*key_file), password)->address() == key.address());
}

TEST_CASE("the folder keeps both under one name") {
  const test::Folder folder;
  int asked = 0;
  const PasswordSource password = [&](std::string_view, bool) {
    ++asked;
    return Result<Secret>(Error{Kind::account, "nobody to ask"});
  };
  const auto secrets = make_secret_folder(folder / "keys", password);
  REQUIRE(make_private_folder(folder / "keys").has_value());
  REQUIRE(write_new_file(folder / "keys/node.lightning-wallet", "{}").has_value());
  REQUIRE(write_new_file(folder / "keys/node.json", "{}").has_value());
  REQUIRE(write_new_file(folder / "keys/node.l402-token", "{}").has_value());
  const auto listing = secrets->list(SecretPurpose::lightning_wallet);
  REQUIRE(listing->keys.size() == 1);
  CHECK(listing->keys[0].name == "node");
  CHECK(make_key_folder(folder / "keys", password)->list()->keys.size() == 1);
  CHECK_FALSE(secrets->load(SecretPurpose::lightning_wallet, "node").has_value());
  CHECK(asked == 0);  // what is no file of ours needs no password
  CHECK(secrets->load(SecretPurpose::lightning_wallet, "gone").error().reason == "no_account");
  CHECK_FALSE(secrets->load(SecretPurpose::l402_token, "../node").has_value());
  REQUIRE(secrets->remove(SecretPurpose::lightning_wallet, "node").has_value());
  CHECK(::access((folder / "keys/node.json").c_str(), F_OK) == 0);
}

}  // namespace
}  // namespace paycurl
