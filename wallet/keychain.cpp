// Keys and other secrets in the desktop's keychain, and what their attributes are.
#include "src/base/text.h"
#include "wallet/keyring.h"
#include "wallet/keystore.h"

namespace paycurl {
namespace {

constexpr const char* kOtherKeys =
    "use PAYCURL_PRIVATE_KEY, --key-fd N or --key-file FILE, or an encrypted file (account create "
    "--store file)";
constexpr const char* kOtherSecrets =
    "use PAYCURL_WALLET or --wallet-fd N, or an encrypted file (account connect --store file)";

Error account_error(std::string message, std::string hint, const char* reason) {
  return {Kind::account, std::move(message), std::move(hint), reason};
}

/// Says what a lock is in front of.
Error about(Error error, const std::string& what) {
  if (error.reason == "locked") error.message += ", and " + what + " is inside it";
  return error;
}

class Keychain : public Keystore {
 public:
  Keychain(bool may_prompt, std::function<void(std::string_view)> say)
      : keyring_(may_prompt, std::move(say), kOtherKeys) {}

  Result<KeyListing> list() override {
    const auto found = keyring_.list({{"service", "mppx"}}, "account");
    if (!found) return found.error();
    KeyListing listing;
    for (const Keyring::Item& item : *found) {
      if (check_account_name(item.name)) {
        listing.keys.push_back({item.name, item.locked});
      } else if (item.locked) {
        ++listing.unnamed;
      }
    }
    return listing;
  }

  Result<PrivateKey> load(const std::string& name) override {
    const auto secrets = keyring_.load(attributes(name));
    if (!secrets) return about(secrets.error(), "account \"" + name + "\"");
    if (secrets->empty()) return missing(name);
    std::vector<PrivateKey> keys;
    for (const Secret& secret : *secrets) {
      auto key = PrivateKey::parse(secret.text());
      if (!key) return std::move(key).error().within("account \"" + name + "\"");
      keys.push_back(std::move(*key));
    }
    for (const PrivateKey& key : keys) {
      if (key.address() == keys.front().address()) continue;
      return account_error(
          "two keys in the keychain are called \"" + name +
              "\": " + keys.front().address().checksummed() + " and " + key.address().checksummed(),
          "delete the one that is wrong with the desktop's keychain tool", "ambiguous");
    }
    return std::move(keys.front());
  }

  Result<> store(const std::string& name, const PrivateKey& key) override {
    const auto found = keyring_.list(attributes(name), "account");
    if (!found) return found.error();
    if (!found->empty()) {
      return account_error("account \"" + name + "\" is in the keychain already",
                           "choose another name, or delete it first", "exists");
    }
    auto stored = keyring_.store(attributes(name), "mppx " + name, key.hex());
    if (!stored) return about(stored.error(), "account \"" + name + "\"");
    return {};
  }

  Result<> remove(const std::string& name) override {
    const auto removed = keyring_.remove(attributes(name));
    if (!removed) return removed.error();
    if (!*removed) return missing(name);
    return {};
  }

 private:
  /// The npm CLI's.
  static Keyring::Attributes attributes(const std::string& name) {
    return {{"service", "mppx"}, {"account", name}};
  }

  Error missing(const std::string& name) {
    std::string hint = "make it with: paycurl account create " + name;
    if (const auto listing = list(); listing && !listing->keys.empty()) {
      hint = "accounts in the keychain:";
      for (const StoredKey& key : listing->keys) {
        hint += " " + printable(key.name, 70);
      }
    }
    return account_error("no account \"" + name + "\" in the keychain", hint, "no_account");
  }

  Keyring keyring_;
};

class SecretKeychain : public SecretStore {
 public:
  SecretKeychain(bool may_prompt, std::function<void(std::string_view)> say)
      : keyring_(may_prompt, std::move(say), kOtherSecrets) {}

  Result<KeyListing> list(SecretPurpose purpose) override {
    const auto found =
        keyring_.list({{"service", "paycurl"}, {"purpose", std::string(name_of(purpose))}}, "name");
    if (!found) return found.error();
    KeyListing listing;
    for (const Keyring::Item& item : *found) {
      if (!item.name.empty()) {
        listing.keys.push_back({item.name, item.locked});
      } else if (item.locked) {
        ++listing.unnamed;
      }
    }
    return listing;
  }

  Result<Secret> load(SecretPurpose purpose, const std::string& name) override {
    auto secrets = keyring_.load(attributes(purpose, name));
    if (!secrets) return about(secrets.error(), described(purpose, name));
    if (secrets->empty()) return missing(purpose, name);
    for (const Secret& secret : *secrets) {
      if (secret.text() == secrets->front().text()) continue;
      return account_error("the keychain has two secrets for " + described(purpose, name),
                           "delete the one that is wrong with the desktop's keychain tool",
                           "ambiguous");
    }
    return std::move(secrets->front());
  }

  Result<> store(SecretPurpose purpose, const std::string& name, const Secret& secret,
                 bool replace) override {
    const auto found = keyring_.list(attributes(purpose, name), "name");
    if (!found) return found.error();
    if (!found->empty() && !replace) {
      return account_error(described(purpose, name) + " is in the keychain already",
                           "choose another name, or delete it first", "exists");
    }
    const std::string label = "paycurl " + std::string(name_of(purpose)) + " " + name;
    auto stored = keyring_.store(attributes(purpose, name), label, secret);
    if (!stored) return about(stored.error(), described(purpose, name));
    return {};
  }

  Result<> remove(SecretPurpose purpose, const std::string& name) override {
    const auto removed = keyring_.remove(attributes(purpose, name));
    if (!removed) return removed.error();
    if (!*removed) return missing(purpose, name);
    return {};
  }

 private:
  static Keyring::Attributes attributes(SecretPurpose purpose, const std::string& name) {
    return {{"service", "paycurl"}, {"purpose", std::string(name_of(purpose))}, {"name", name}};
  }

  static std::string described(SecretPurpose purpose, const std::string& name) {
    return std::string(name_of(purpose)) + " \"" + printable(name) + "\"";
  }

  static Error missing(SecretPurpose purpose, const std::string& name) {
    return account_error("no " + described(purpose, name) + " in the keychain", "", "no_account");
  }

  Keyring keyring_;
};

}  // namespace

std::string_view name_of(SecretPurpose purpose) {
  switch (purpose) {
    case SecretPurpose::lightning_wallet:
      return "lightning-wallet";
    case SecretPurpose::lightning_session:
      return "lightning-session";
    case SecretPurpose::l402_token:
      return "l402-token";
  }
  return "";
}

std::unique_ptr<Keystore> make_keychain(bool may_prompt,
                                        std::function<void(std::string_view)> say) {
  return std::make_unique<Keychain>(may_prompt, std::move(say));
}

Result<std::string> keychain_program() {
  return Keyring::program();
}

std::unique_ptr<SecretStore> make_secret_keychain(bool may_prompt,
                                                  std::function<void(std::string_view)> say) {
  return std::make_unique<SecretKeychain>(may_prompt, std::move(say));
}

}  // namespace paycurl
