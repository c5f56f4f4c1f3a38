// The schema is NULL: with any other, libsecret adds an attribute of its own, so that the npm CLI
// and paycurl would keep two items under one name and pay from different addresses. Lookups are
// searches, because a search tells "not there" from "locked" and never prompts.
#include "wallet/keyring.h"

#include <array>
#include <condition_variable>
#include <cstring>
#include <fstream>
#include <mutex>
#include <thread>

#include <dlfcn.h>
#include <libsecret/secret.h>

#include "src/base/text.h"

namespace paycurl {
namespace {

using namespace std::chrono_literals;

/// The functions of libsecret and GLib that are called, found by name.
struct Library {
  decltype(&secret_password_searchv_sync) search;
  decltype(&secret_password_storev_binary_sync) store;
  decltype(&secret_password_clearv_sync) clear;
  decltype(&secret_retrievable_get_attributes) attributes;
  decltype(&secret_retrievable_retrieve_secret_sync) retrieve;
  decltype(&secret_item_get_type) item_type;
  decltype(&secret_item_get_locked) locked;
  decltype(&secret_value_new) new_value;
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
  decltype(&g_bus_get_sync) bus;
  decltype(&g_dbus_connection_call_sync) call;
  decltype(&g_variant_new) new_variant;
  decltype(&g_variant_get) read_variant;
  decltype(&g_variant_unref) drop_variant;
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
           find_symbol(handle, "secret_password_storev_binary_sync", found.store) &&
           find_symbol(handle, "secret_password_clearv_sync", found.clear) &&
           find_symbol(handle, "secret_retrievable_get_attributes", found.attributes) &&
           find_symbol(handle, "secret_retrievable_retrieve_secret_sync", found.retrieve) &&
           find_symbol(handle, "secret_item_get_type", found.item_type) &&
           find_symbol(handle, "secret_item_get_locked", found.locked) &&
           find_symbol(handle, "secret_value_new", found.new_value) &&
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
           find_symbol(handle, "g_type_check_instance_is_a", found.is_a) &&
           find_symbol(handle, "g_bus_get_sync", found.bus) &&
           find_symbol(handle, "g_dbus_connection_call_sync", found.call) &&
           find_symbol(handle, "g_variant_new", found.new_variant) &&
           find_symbol(handle, "g_variant_get", found.read_variant) &&
           find_symbol(handle, "g_variant_unref", found.drop_variant);
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

/// Attributes as libsecret takes them; the strings must outlive it.
class Table {
 public:
  Table(const Library& lib, const Keyring::Attributes& attributes)
      : lib_(lib), table_(lib.new_table(lib.hash, lib.equal)) {
    for (const auto& [name, value] : attributes) {
      lib_.insert(table_, const_cast<char*>(name), const_cast<char*>(value.c_str()));
    }
  }
  ~Table() { lib_.drop_table(table_); }
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;
  GHashTable* get() const { return table_; }

 private:
  const Library& lib_;
  GHashTable* table_;
};

Error keychain_error(std::string message, const char* reason) {
  return {Kind::account, std::move(message), "", reason};
}

Error locked() {
  return {Kind::account, "the keychain is locked", "unlock it on the desktop, or ", "locked"};
}

/// The states of facts that a person can do something about, each with its sentence. What else to
/// do is added to the hint by whoever knows.
Error explain(const Library& lib, GError* failure) {
  const std::string text = printable(failure->message);
  const auto is = [&](GQuark domain, int code) {
    return failure->domain == domain && failure->code == code;
  };
  Error error = keychain_error("the keychain failed: " + text, "keychain");
  if (is(lib.io_errors(), G_IO_ERROR_CANCELLED) || is(lib.io_errors(), G_IO_ERROR_TIMED_OUT)) {
    error = keychain_error("the keychain does not answer", "timeout");
  } else if (failure->domain == lib.io_errors()) {
    error = keychain_error(
        "no keychain here: there is no D-Bus session bus (normal on servers, in containers, under "
        "sudo and cron)",
        "no_bus");
  } else if (is(lib.bus_errors(), G_DBUS_ERROR_SERVICE_UNKNOWN)) {
    error = keychain_error("no keychain service is installed (gnome-keyring, KeePassXC or KWallet)",
                           "no_service");
  } else if (is(lib.bus_errors(), G_DBUS_ERROR_UNKNOWN_METHOD) ||
             is(lib.bus_errors(), G_DBUS_ERROR_UNKNOWN_OBJECT)) {
    error = keychain_error("there is no keychain yet, and creating one needs a desktop prompt",
                           "no_keychain");
  } else if (is(lib.secret_errors(), SECRET_ERROR_IS_LOCKED)) {
    error = locked();
  }
  lib.drop_error(failure);
  return error;
}

/// The items a search found.
class Items {
 public:
  Items(const Library& lib, GList* list) : lib_(lib), list_(list) {}
  Items(Items&& other) noexcept : lib_(other.lib_), list_(std::exchange(other.list_, nullptr)) {}
  Items& operator=(Items&& other) noexcept {
    std::swap(list_, other.list_);
    return *this;
  }
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

  std::string attribute_of(SecretRetrievable* item, const char* name) const {
    GHashTable* table = lib_.attributes(item);
    if (table == nullptr) return {};
    const auto* value = static_cast<const char*>(lib_.find(table, name));
    std::string copy = value == nullptr ? "" : value;
    lib_.drop_table(table);
    return copy;
  }

 private:
  const Library& lib_;
  GList* list_;
};

Error no_library() {
  return keychain_error("no keychain here: libsecret is not installed (libsecret-1-0)",
                        "no_service");
}

std::chrono::seconds patience(bool prompting) {
  return prompting ? 300s : 5s;
}

Result<Items> search(const Keyring::Attributes& attributes, bool unlock) {
  const Library* lib = library();
  if (lib == nullptr) return no_library();
  const Table table(*lib, attributes);
  const Deadline deadline(*lib, patience(unlock));
  const auto flags =
      static_cast<SecretSearchFlags>(SECRET_SEARCH_ALL | (unlock ? SECRET_SEARCH_UNLOCK : 0));
  GError* failure = nullptr;
  GList* list = lib->search(nullptr, table.get(), flags, deadline.cancellable(), &failure);
  if (failure != nullptr) return explain(*lib, failure);
  return Items(*lib, list);
}

Result<Secret> read_item(const Items& items, SecretRetrievable* item) {
  if (items.is_locked(item)) return locked();
  const Library& lib = *library();
  const Deadline deadline(lib, patience(false));
  GError* failure = nullptr;
  SecretValue* value = lib.retrieve(item, deadline.cancellable(), &failure);
  if (failure != nullptr) return explain(lib, failure);
  if (value == nullptr) return locked();
  gsize size = 0;
  const char* text = lib.value(value, &size);
  Secret secret;
  const bool fits = size <= Secret::kCapacity;
  if (fits) secret.assign({reinterpret_cast<const std::uint8_t*>(text), size});
  lib.drop_value(value);
  if (!fits) return keychain_error("an entry of the keychain is too long", "keychain");
  return secret;
}

Result<std::vector<Secret>> secrets_of(const Items& items) {
  std::vector<Secret> secrets;
  for (SecretRetrievable* item : items.all()) {
    auto secret = read_item(items, item);
    if (!secret) return secret.error();
    secrets.push_back(std::move(*secret));
  }
  return secrets;
}

}  // namespace

Error Keyring::advise(Error error) const {
  error.hint += other_ways_;
  return error;
}

Result<std::vector<Keyring::Item>> Keyring::list(const Attributes& attributes, const char* name) {
  const auto found = search(attributes, false);
  if (!found) return advise(found.error());
  std::vector<Item> items;
  for (SecretRetrievable* item : found->all()) {
    items.push_back({found->attribute_of(item, name), found->is_locked(item)});
  }
  return items;
}

Result<std::vector<Secret>> Keyring::load(const Attributes& attributes) {
  auto found = search(attributes, false);
  if (!found) return advise(found.error());
  const bool is_locked = !found->all().empty() && found->is_locked(found->all().front());
  if (is_locked && !may_prompt_) return advise(locked());
  if (is_locked) {
    say_("waiting for you to unlock the keychain (Ctrl-C to stop)...");
    auto unlocked = search(attributes, true);
    if (!unlocked) return advise(unlocked.error());
    found = std::move(unlocked);
  }
  auto secrets = secrets_of(*found);
  if (!secrets) return advise(secrets.error());
  return secrets;
}

Result<> Keyring::store(const Attributes& attributes, const std::string& label,
                        const Secret& secret) {
  const Library* lib = library();
  if (lib == nullptr) return advise(no_library());
  const Table table(*lib, attributes);
  const Deadline deadline(*lib, patience(may_prompt_));
  SecretValue* value =
      lib->new_value(secret.text().data(), static_cast<gssize>(secret.text().size()), "text/plain");
  GError* failure = nullptr;
  const bool stored = lib->store(nullptr, table.get(), SECRET_COLLECTION_DEFAULT, label.c_str(),
                                 value, deadline.cancellable(), &failure) != 0;
  lib->drop_value(value);
  if (stored) return {};
  return advise(failure != nullptr ? explain(*lib, failure) : locked());
}

Result<std::string> Keyring::program() {
  const Library* lib = library();
  if (lib == nullptr) return no_library();
  const Deadline deadline(*lib, patience(false));
  GError* failure = nullptr;
  GDBusConnection* bus = lib->bus(G_BUS_TYPE_SESSION, deadline.cancellable(), &failure);
  if (bus == nullptr) return explain(*lib, failure);
  GVariant* answer =
      lib->call(bus, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
                "GetConnectionUnixProcessID", lib->new_variant("(s)", "org.freedesktop.secrets"),
                nullptr, G_DBUS_CALL_FLAGS_NONE, -1, deadline.cancellable(), &failure);
  lib->drop_object(bus);
  if (answer == nullptr) return explain(*lib, failure);
  guint32 process = 0;
  lib->read_variant(answer, "(u)", &process);
  lib->drop_variant(answer);
  std::ifstream file("/proc/" + std::to_string(process) + "/comm");
  std::string name;
  if (std::getline(file, name) && !name.empty()) return printable(name, 40);
  return keychain_error("the program behind the keychain is not known", "keychain");
}

Result<bool> Keyring::remove(const Attributes& attributes) {
  const Library* lib = library();
  if (lib == nullptr) return advise(no_library());
  const Table table(*lib, attributes);
  const Deadline deadline(*lib, patience(may_prompt_));
  GError* failure = nullptr;
  const bool removed = lib->clear(nullptr, table.get(), deadline.cancellable(), &failure) != 0;
  if (failure != nullptr) return advise(explain(*lib, failure));
  return removed;
}

}  // namespace paycurl
