// Where private keys and other secrets are kept. Each place is one implementation.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "src/base/result.h"
#include "src/crypto/secp256k1.h"

namespace paycurl {

struct StoredKey {
  std::string name;
  bool locked = false;
};

struct KeyListing {
  std::vector<StoredKey> keys;
  int unnamed = 0;  ///< keys behind a lock that hides even their names
};

/// Failures are Kind::account; their reason tells the states apart: no_bus, no_service,
/// no_keychain, locked, timeout, no_account, ambiguous, exists, password.
class Keystore {
 public:
  virtual ~Keystore() = default;
  /// Names only: never unlocks and never prompts.
  virtual Result<KeyListing> list() = 0;
  virtual Result<PrivateKey> load(const std::string& name) = 0;
  /// Never overwrites: reason "exists" when the name is taken.
  virtual Result<> store(const std::string& name, const PrivateKey& key) = 0;
  virtual Result<> remove(const std::string& name) = 0;
};

/// The desktop's keychain (Secret Service), shared with the npm CLI: service=mppx, account=<name>.
/// libsecret is loaded at the first use. `may_prompt`: a person is there to unlock it; `say` tells
/// them that we wait.
std::unique_ptr<Keystore> make_keychain(bool may_prompt, std::function<void(std::string_view)> say);

/// The program behind the keychain, as the kernel calls it: "gnome-keyring-d". Never prompts.
/// Failures as of Keystore.
Result<std::string> keychain_program();

/// What a secret that is no private key is for.
enum class SecretPurpose {
  lightning_wallet,   ///< a wallet's connection, by account: its whole text, address included
  lightning_session,  ///< the preimage that proves a session is ours, by session
  l402_token,         ///< a token and what makes it valid, by origin
};
std::string_view name_of(SecretPurpose purpose);

/// Secrets by purpose and name, apart from keys. Failures as of Keystore.
class SecretStore {
 public:
  virtual ~SecretStore() = default;
  /// Names only: never unlocks and never prompts.
  virtual Result<KeyListing> list(SecretPurpose purpose) = 0;
  /// Reason no_account when it is not there, locked when it cannot be had now.
  virtual Result<Secret> load(SecretPurpose purpose, const std::string& name) = 0;
  /// Reason "exists" when there is one and `replace` is not set.
  virtual Result<> store(SecretPurpose purpose, const std::string& name, const Secret& secret,
                         bool replace) = 0;
  virtual Result<> remove(SecretPurpose purpose, const std::string& name) = 0;
};

/// The desktop's keychain: service=paycurl, purpose=<purpose>, name=<name>.
std::unique_ptr<SecretStore> make_secret_keychain(bool may_prompt,
                                                  std::function<void(std::string_view)> say);

/// Asks for a password: on the terminal, or from a descriptor or file that the user named. `fresh`:
/// it is a new one, so a terminal asks twice.
using PasswordSource = std::function<Result<Secret>(std::string_view prompt, bool fresh)>;

/// Encrypted files NAME.json (Web3 Secret Storage, version 3) in `folder`.
std::unique_ptr<Keystore> make_key_folder(std::string folder, PasswordSource password);

/// Encrypted files NAME.PURPOSE in `folder`, in a form of ours (wallet/key_file.h); names are
/// account names here, and nothing is replaced.
std::unique_ptr<SecretStore> make_secret_folder(std::string folder, PasswordSource password);

/// The key in an environment variable. The variable is wiped and unset, so that no child sees it.
/// Kind::account when it is empty or no key; what it holds is never said.
Result<PrivateKey> take_key_variable(const char* name);

/// A wallet's connection in an environment variable, taken away in the same manner.
Result<Secret> take_secret_variable(const char* name);

/// The key in a file that systemd decrypted for us: `folder`/`name`.
Result<PrivateKey> load_credential(const std::string& folder, const std::string& name);

/// 1 to 64 letters, digits, ".", "_" and "-", starting with a letter or digit; and no 64 hex
/// digits or URI, which are a key or a wallet's connection in the wrong place and are refused
/// without being repeated.
Result<> check_account_name(std::string_view name);

}  // namespace paycurl
