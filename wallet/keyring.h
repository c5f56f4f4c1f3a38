// The keychain of the desktop (Secret Service) as items with attributes; libsecret is loaded when
// it is first needed.
//
// Only wallet/keychain.cpp uses this: what attributes mean is its business.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/base/result.h"
#include "src/base/secret.h"

namespace paycurl {

/// Failures are Kind::account with the reasons no_bus, no_service, no_keychain, locked, timeout and
/// keychain.
class Keyring {
 public:
  /// By name; an item is found by any of them and has exactly these when it was stored.
  using Attributes = std::vector<std::pair<const char*, std::string>>;

  struct Item {
    std::string name;  ///< the attribute that was asked for; empty when a lock hides it
    bool locked = false;
  };

  /// `may_prompt`: a person is there to unlock it; `say` tells them that we wait. `other_ways`:
  /// what to do without a keychain, for hints.
  Keyring(bool may_prompt, std::function<void(std::string_view)> say, std::string other_ways)
      : may_prompt_(may_prompt), say_(std::move(say)), other_ways_(std::move(other_ways)) {}

  /// What is there, with the attribute `name` of each. Never unlocks and never prompts.
  Result<std::vector<Item>> list(const Attributes& attributes, const char* name);

  /// All secrets with these attributes; none when there is no such item. Unlocks when somebody can
  /// be asked to, else reason "locked". One of more than Secret::kCapacity bytes is an error.
  Result<std::vector<Secret>> load(const Attributes& attributes);

  /// Replaces the item with exactly these attributes, if there is one.
  Result<> store(const Attributes& attributes, const std::string& label, const Secret& secret);

  /// The name of the process that owns the service on the session bus.
  static Result<std::string> program();

  /// Whether there was something to remove.
  Result<bool> remove(const Attributes& attributes);

 private:
  Error advise(Error error) const;

  bool may_prompt_;
  std::function<void(std::string_view)> say_;
  std::string other_ways_;
};

}  // namespace paycurl
