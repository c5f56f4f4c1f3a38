// Encrypted files in a folder: keys as NAME.json, other secrets as NAME.PURPOSE.
#include <cerrno>
#include <cstring>

#include <dirent.h>
#include <unistd.h>

#include "src/base/text.h"
#include "wallet/key_file.h"
#include "wallet/keystore.h"
#include "wallet/sqlite.h"

namespace paycurl {
namespace {

/// The accounts that have a file with this ending.
KeyListing names_in(const std::string& folder, std::string_view ending) {
  KeyListing listing;
  DIR* open = ::opendir(folder.c_str());
  if (open == nullptr) return listing;
  while (const dirent* entry = ::readdir(open)) {
    std::string_view name = entry->d_name;
    if (!name.ends_with(ending)) continue;
    name.remove_suffix(ending.size());
    if (check_account_name(name)) listing.keys.push_back({std::string(name), true});
  }
  ::closedir(open);
  return listing;
}

Result<> remove_file(const std::string& path) {
  if (::unlink(path.c_str()) == 0) return {};
  return Error{Kind::account, "removing " + printable(path) + ": " + std::strerror(errno), "",
               errno == ENOENT ? "no_account" : ""};
}

class KeyFolder : public Keystore {
 public:
  KeyFolder(std::string folder, PasswordSource password)
      : folder_(std::move(folder)), password_(std::move(password)) {}

  Result<KeyListing> list() override { return names_in(folder_, ".json"); }

  Result<PrivateKey> load(const std::string& name) override {
    const auto file = read_key_file(path(name));
    if (!file) return file.error();
    const auto password = password_("Password of account " + name, false);
    if (!password) return password.error();
    return open_key_file(*file, *password);
  }

  Result<> store(const std::string& name, const PrivateKey& key) override {
    if (auto made = make_private_folder(folder_); !made) return made;
    const auto password = password_("New password of account " + name, true);
    if (!password) return password.error();
    const auto text = seal_key_file(key, *password);
    if (!text) return text.error();
    return write_new_file(path(name), *text);
  }

  Result<> remove(const std::string& name) override { return remove_file(path(name)); }

 private:
  std::string path(const std::string& name) const { return folder_ + "/" + name + ".json"; }

  std::string folder_;
  PasswordSource password_;
};

class SecretFolder : public SecretStore {
 public:
  SecretFolder(std::string folder, PasswordSource password)
      : folder_(std::move(folder)), password_(std::move(password)) {}

  Result<KeyListing> list(SecretPurpose purpose) override {
    return names_in(folder_, "." + std::string(name_of(purpose)));
  }

  Result<Secret> load(SecretPurpose purpose, const std::string& name) override {
    const auto file_name = path(purpose, name);
    if (!file_name) return file_name.error();
    if (::access(file_name->c_str(), F_OK) != 0) {
      return Error{Kind::account, "there is no " + printable(*file_name), "", "no_account"};
    }
    const auto text = read_small_file(*file_name);
    if (!text) return text.error();
    const auto file = parse_secret_file(*text, name_of(purpose));
    if (!file) return Error{file.error()}.within(printable(*file_name));
    const auto password = password_("Password of " + name, false);
    if (!password) return password.error();
    return open_secret_file(*file, name_of(purpose), *password);
  }

  Result<> store(SecretPurpose purpose, const std::string& name, const Secret& secret,
                 bool replace) override {
    const auto file_name = path(purpose, name);
    if (!file_name) return file_name.error();
    if (replace) return Error{Kind::account, "encrypted files are not replaced", "", "exists"};
    if (auto made = make_private_folder(folder_); !made) return made;
    const auto password = password_("New password of " + name, true);
    if (!password) return password.error();
    const auto text = seal_secret_file(secret, name_of(purpose), *password);
    if (!text) return text.error();
    return write_new_file(*file_name, *text);
  }

  Result<> remove(SecretPurpose purpose, const std::string& name) override {
    const auto file_name = path(purpose, name);
    if (!file_name) return file_name.error();
    return remove_file(*file_name);
  }

 private:
  Result<std::string> path(SecretPurpose purpose, const std::string& name) const {
    if (auto valid = check_account_name(name); !valid) return valid.error();
    return folder_ + "/" + name + "." + std::string(name_of(purpose));
  }

  std::string folder_;
  PasswordSource password_;
};

}  // namespace

std::unique_ptr<SecretStore> make_secret_folder(std::string folder, PasswordSource password) {
  return std::make_unique<SecretFolder>(std::move(folder), std::move(password));
}

std::unique_ptr<Keystore> make_key_folder(std::string folder, PasswordSource password) {
  return std::make_unique<KeyFolder>(std::move(folder), std::move(password));
}

}  // namespace paycurl
