// The keychain of the desktop, through libsecret, which is loaded when it is first needed.
//
// The schema is NULL: with any other, libsecret adds an attribute of its own, so that the npm CLI
// and paycurl would keep two items under one name and pay from different addresses. Lookups are
// searches, because a search tells "not there" from "locked" and never prompts.
#include <array>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>

#include <dlfcn.h>
#include <libsecret/secret.h>

#include "src/base/text.h"
#include "wallet/keystore.h"

namespace paycurl {
namespace {

using namespace std::chrono_literals;

constexpr const char* kOtherWays =
    "use PAYCURL_PRIVATE_KEY, --key-fd N or --key-file FILE, or an encrypted file (account create "
    "--store file)";

/// The functions of libsecret and GLib that are called, found by name.
struct Library {
  decltype(&secret_password_searchv_sync) search;
  decltype(&secret_password_storev_sync) store;
  decltype(&secret_password_clearv_sync) clear;
  decltype(&secret_retrievable_get_attributes) attributes;
  decltype(&secret_retrievable_retrieve_secret_sync) retrieve;
  decltype(&secret_item_get_type) item_type;
  decltype(&secret_item_get_locked) locked;
  decltype(&secret_value_get) value;
  decltype(&secret_value_unref) drop_value;
  decltype(&secret_error_get_quark) secret_errors;
  decltype(&g_io_error_quark) io_errors;
  decltype(&g_dbus_error_quark) bus_errors;
  decltype(&g_error_free) drop_error;
  decltype(&g_object_unref) drop_object;
  decltype(&g_list_free) drop_list;
  decltype(&g_hash_table_new) new_table;
  decltype(&g_hash_table_insert) insert;
  decltype(&g_hash_table_lookup) find;
  decltype(&g_hash_table_unref) drop_table;
  decltype(&g_str_hash) hash;
  decltype(&g_str_equal) equal;
  decltype(&g_cancellable_new) new_cancellable;
  decltype(&g_cancellable_cancel) cancel;
  decltype(&g_type_check_instance_is_a) is_a;
};

template <class Function>
bool find_symbol(void* library, const char* name, Function& into) {
  into = reinterpret_cast<Function>(::dlsym(library, name));
  return into != nullptr;
}

const Library* library() {
  static Library found{};
  static const bool complete = [] {
    void* handle = ::dlopen("libsecret-1.so.0", RTLD_NOW | RTLD_LOCAL);
    return handle != nullptr && find_symbol(handle, "secret_password_searchv_sync", found.search) &&
           find_symbol(handle, "secret_password_storev_sync", found.store) &&
           find_symbol(handle, "secret_password_clearv_sync", found.clear) &&
           find_symbol(handle, "secret_retrievable_get_attributes", found.attributes) &&
           find_symbol(handle, "secret_retrievable_retrieve_secret_sync", found.retrieve) &&
           find_symbol(handle, "secret_item_get_type", found.item_type) &&
           find_symbol(handle, "secret_item_get_locked", found.locked) &&
           find_symbol(handle, "secret_value_get", found.value) &&
           find_symbol(handle, "secret_value_unref", found.drop_value) &&
           find_symbol(handle, "secret_error_get_quark", found.secret_errors) &&
           find_symbol(handle, "g_io_error_quark", found.io_errors) &&
           find_symbol(handle, "g_dbus_error_quark", found.bus_errors) &&
           find_symbol(handle, "g_error_free", found.drop_error) &&
           find_symbol(handle, "g_object_unref", found.drop_object) &&
           find_symbol(handle, "g_list_free", found.drop_list) &&
           find_symbol(handle, "g_hash_table_new", found.new_table) &&
           find_symbol(handle, "g_hash_table_insert", found.insert) &&
           find_symbol(handle, "g_hash_table_lookup", found.find) &&
           find_symbol(handle, "g_hash_table_unref", found.drop_table) &&
           find_symbol(handle, "g_str_hash", found.hash) &&
           find_symbol(handle, "g_str_equal", found.equal) &&
           find_symbol(handle, "g_cancellable_new", found.new_cancellable) &&
           find_symbol(handle, "g_cancellable_cancel", found.cancel) &&
           find_symbol(handle, "g_type_check_instance_is_a", found.is_a);
  }();
  return complete ? &found : nullptr;
}

/// Cancels a call when its time is up. The service must not be cancelled while it asks a person
/// (gnome-keyring 42 dies of that), so calls that may prompt get minutes.
class Deadline {
 public:
  Deadline(const Library& lib, std::chrono::seconds limit)
      : lib_(lib), cancellable_(lib.new_cancellable()), thread_([this, limit] {
          std::unique_lock lock(mutex_);
          if (!over_.wait_for(lock, limit, [this] { return done_; })) lib_.cancel(cancellable_);
        }) {}
  ~Deadline() {
    {
      const std::lock_guard lock(mutex_);
      done_ = true;
    }
    over_.notify_one();
    thread_.join();
    lib_.drop_object(cancellable_);
  }
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  GCancellable* cancellable() const { return cancellable_; }

 private:
  const Library& lib_;
  GCancellable* cancellable_;
  std::mutex mutex_;
  std::condition_variable over_;
  bool done_ = false;
  std::thread thread_;
};

/// Attributes of an item; the strings must outlive it.
class Attributes {
 public:
  Attributes(const Library& lib, const char* account)
      : lib_(lib), table_(lib.new_table(lib.hash, lib.equal)) {
    add("service", "mppx");
    if (account != nullptr) add("account", account);
  }
  ~Attributes() { lib_.drop_table(table_); }
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;
  GHashTable* table() const { return table_; }

 private:
  void add(const char* key, const char* value) {
    lib_.insert(table_, const_cast<char*>(key), const_cast<char*>(value));
  }
  const Library& lib_;
  GHashTable* table_;
};

Error account_error(std::string message, std::string hint, const char* reason) {
  return {Kind::account, std::move(message), std::move(hint), reason};
}

/// The states of facts that a person can do something about, each with its sentence.
Error explain(const Library& lib, GError* failure) {
  const std::string text = printable(failure->message);
  const auto is = [&](GQuark domain, int code) {
    return failure->domain == domain && failure->code == code;
  };
  Error error = account_error("the keychain failed: " + text, kOtherWays, "keychain");
  if (is(lib.io_errors(), G_IO_ERROR_CANCELLED) || is(lib.io_errors(), G_IO_ERROR_TIMED_OUT)) {
    error = account_error("the keychain does not answer", kOtherWays, "timeout");
  } else if (failure->domain == lib.io_errors()) {
    error = account_error(
        "no keychain here: there is no D-Bus session bus (normal on servers, in containers, under "
        "sudo and cron)",
        kOtherWays, "no_bus");
  } else if (is(lib.bus_errors(), G_DBUS_ERROR_SERVICE_UNKNOWN)) {
    error = account_error("no keychain service is installed (gnome-keyring, KeePassXC or KWallet)",
                          kOtherWays, "no_service");
  } else if (is(lib.bus_errors(), G_DBUS_ERROR_UNKNOWN_METHOD) ||
             is(lib.bus_errors(), G_DBUS_ERROR_UNKNOWN_OBJECT)) {
    error = account_error("there is no keychain yet, and creating one needs a desktop prompt",
                          kOtherWays, "no_keychain");
  } else if (is(lib.secret_errors(), SECRET_ERROR_IS_LOCKED)) {
    error = account_error("the keychain is locked",
                          "unlock it on the desktop, or " + std::string(kOtherWays), "locked");
  }
  lib.drop_error(failure);
  return error;
}

/// The items a search found.
class Items {
 public:
  Items(const Library& lib, GList* list) : lib_(lib), list_(list) {}
  Items(Items&& other) noexcept : lib_(other.lib_), list_(std::exchange(other.list_, nullptr)) {}
  Items& operator=(Items&&) = delete;
  ~Items() {
    for (const GList* at = list_; at != nullptr; at = at->next) {
      lib_.drop_object(at->data);
    }
    lib_.drop_list(list_);
  }

  std::vector<SecretRetrievable*> all() const {
    std::vector<SecretRetrievable*> items;
    for (const GList* at = list_; at != nullptr; at = at->next) {
      items.push_back(static_cast<SecretRetrievable*>(at->data));
    }
    return items;
  }

  bool is_locked(SecretRetrievable* item) const {
    auto* instance = reinterpret_cast<GTypeInstance*>(item);
    if (lib_.is_a(instance, lib_.item_type()) == 0) return false;  // libsecret's file backend
    return lib_.locked(reinterpret_cast<SecretItem*>(item)) != 0;
  }

  std::string account_of(SecretRetrievable* item) const {
    GHashTable* table = lib_.attributes(item);
    if (table == nullptr) return {};
    const auto* name = static_cast<const char*>(lib_.find(table, "account"));
    std::string copy = name == nullptr ? "" : name;
    lib_.drop_table(table);
    return copy;
  }

 private:
  const Library& lib_;
  GList* list_;
};

class Keychain : public Keystore {
 public:
  Keychain(bool may_prompt, std::function<void(std::string_view)> say)
      : may_prompt_(may_prompt), say_(std::move(say)) {}

  Result<KeyListing> list() override {
    auto found = search(nullptr, false);
    if (!found) return found.error();
    KeyListing listing;
    for (SecretRetrievable* item : found->all()) {
      const std::string name = found->account_of(item);
      const bool locked = found->is_locked(item);
      if (check_account_name(name)) {
        listing.keys.push_back({name, locked});
      } else if (locked) {
        ++listing.unnamed;
      }
    }
    return listing;
  }

  Result<PrivateKey> load(const std::string& name) override {
    auto found = search(name.c_str(), false);
    if (!found) return found.error();
    if (found->all().empty()) return missing(name);
    if (found->is_locked(found->all().front())) {
      if (!may_prompt_) return locked(name);
      say_("waiting for you to unlock the keychain (Ctrl-C to stop)...");
      auto unlocked = search(name.c_str(), true);
      if (!unlocked) return unlocked.error();
      return read_one(*unlocked, name);
    }
    return read_one(*found, name);
  }

  Result<> store(const std::string& name, const PrivateKey& key) override {
    auto found = search(name.c_str(), false);
    if (!found) return found.error();
    if (!found->all().empty()) {
      return account_error("account \"" + name + "\" is in the keychain already",
                           "choose another name, or delete it first", "exists");
    }
    const Secret text = key.hex();
    const Library& lib = *library();
    const Attributes attributes(lib, name.c_str());
    const Deadline deadline(lib, patience(may_prompt_));
    GError* failure = nullptr;
    const std::string label = "mppx " + name;
    if (lib.store(nullptr, attributes.table(), SECRET_COLLECTION_DEFAULT, label.c_str(),
                  text.text().data(), deadline.cancellable(), &failure) == 0) {
      return failure != nullptr ? explain(lib, failure) : locked(name);
    }
    return {};
  }

  Result<> remove(const std::string& name) override {
    const Library* lib = library();
    if (lib == nullptr) return no_library();
    const Attributes attributes(*lib, name.c_str());
    const Deadline deadline(*lib, patience(may_prompt_));
    GError* failure = nullptr;
    const bool removed =
        lib->clear(nullptr, attributes.table(), deadline.cancellable(), &failure) != 0;
    if (failure != nullptr) return explain(*lib, failure);
    if (!removed) return missing(name);
    return {};
  }

 private:
  static std::chrono::seconds patience(bool prompting) { return prompting ? 300s : 5s; }

  static Error no_library() {
    return account_error("no keychain here: libsecret is not installed (libsecret-1-0)", kOtherWays,
                         "no_service");
  }

  static Error locked(const std::string& name) {
    return account_error("the keychain is locked, and account \"" + name + "\" is inside it",
                         "unlock it on the desktop, or " + std::string(kOtherWays), "locked");
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

  Result<Items> search(const char* account, bool unlock) {
    const Library* lib = library();
    if (lib == nullptr) return no_library();
    const Attributes attributes(*lib, account);
    const Deadline deadline(*lib, patience(unlock));
    const auto flags =
        static_cast<SecretSearchFlags>(SECRET_SEARCH_ALL | (unlock ? SECRET_SEARCH_UNLOCK : 0));
    GError* failure = nullptr;
    GList* list = lib->search(nullptr, attributes.table(), flags, deadline.cancellable(), &failure);
    if (failure != nullptr) return explain(*lib, failure);
    return Items(*lib, list);
  }

  Result<PrivateKey> read_one(const Items& items, const std::string& name) {
    const Library& lib = *library();
    std::vector<PrivateKey> keys;
    for (SecretRetrievable* item : items.all()) {
      if (items.is_locked(item)) return locked(name);
      const Deadline deadline(lib, patience(false));
      GError* failure = nullptr;
      SecretValue* value = lib.retrieve(item, deadline.cancellable(), &failure);
      if (failure != nullptr) return explain(lib, failure);
      if (value == nullptr) return locked(name);
      gsize size = 0;
      const char* text = lib.value(value, &size);
      auto key = PrivateKey::parse({text, size});
      lib.drop_value(value);
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

  bool may_prompt_;
  std::function<void(std::string_view)> say_;
};

}  // namespace

std::unique_ptr<Keystore> make_keychain(bool may_prompt,
                                        std::function<void(std::string_view)> say) {
  return std::make_unique<Keychain>(may_prompt, std::move(say));
}

}  // namespace paycurl
