#include "wallet/version.h"

#include <dlfcn.h>
#include <sqlite3.h>

namespace paycurl {

std::string wallet_libraries() {
  std::string text = std::string("SQLite/") + sqlite3_libversion();
  void* keychain = ::dlopen("libsecret-1.so.0", RTLD_LAZY | RTLD_LOCAL);
  if (keychain == nullptr) return text;
  ::dlclose(keychain);
  return text + " libsecret";
}

}  // namespace paycurl
