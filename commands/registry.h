// The directory of services from its server, or from the copy in the cache folder.
#pragma once

#include <string>
#include <vector>

#include "commands/command.h"
#include "src/base/clock.h"
#include "src/http/client.h"
#include "src/protocols/registry.h"

namespace paycurl {

struct RegistryUse {
  bool refresh = false;  ///< ask the server even when the copy is fresh
  bool offline = false;  ///< never ask
};

struct Registry {
  std::string url;
  Millis fetched = 0;  ///< when the server last said that it is so
  bool stale = false;  ///< it is older than the server wanted
  std::vector<ListedService> services;
};

/// The registry at PAYCURL_SERVICES_URL, else MPPX_SERVICES_URL, else mpp.dev. The copy is used as
/// long as its max-age allows, then asked after with its ETag; when the server is away an old copy
/// is better than none, which is said on stderr. Kind::usage when there is none and `offline`.
Result<Registry> get_registry(const Globals& globals, http::Client& client, const RegistryUse& use);

}  // namespace paycurl
