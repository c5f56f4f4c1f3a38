// The libraries below the wallet, for --version.
#pragma once

#include <string>

namespace paycurl {

/// "SQLite/3.40.1 libsecret"; without the second when it cannot be loaded. No file and no keychain
/// is opened.
std::string wallet_libraries();

}  // namespace paycurl
