#include "wallet/sqlite.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

namespace paycurl {
namespace {

constexpr std::chrono::milliseconds kPatience{10'000};  // with other processes at the journal

// Step n brings a database of version n to n + 1. Released steps never change.
constexpr std::array<const char*, 5> kMigrations{R"sql(
  CREATE TABLE payments (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    time INTEGER NOT NULL,
    status TEXT NOT NULL,
    valid_until INTEGER NOT NULL,
    identity TEXT NOT NULL,
    http_method TEXT NOT NULL,
    url TEXT NOT NULL,
    origin TEXT NOT NULL,
    digest TEXT NOT NULL,
    request TEXT,
    idempotency_key TEXT NOT NULL,
    protocol TEXT NOT NULL,
    method TEXT NOT NULL,
    intent TEXT NOT NULL,
    amount TEXT NOT NULL,
    symbol TEXT NOT NULL,
    decimals INTEGER NOT NULL,
    token TEXT NOT NULL,
    network TEXT NOT NULL,
    is_dollar INTEGER NOT NULL,
    is_test INTEGER NOT NULL,
    fee TEXT NOT NULL,
    recipient TEXT NOT NULL,
    payer TEXT NOT NULL,
    account TEXT NOT NULL,
    challenge_id TEXT NOT NULL,
    challenge TEXT NOT NULL,
    rebuild TEXT,
    signed_digest TEXT,
    reference TEXT,
    receipt TEXT,
    http_status INTEGER,
    error_code INTEGER,
    once TEXT,
    session TEXT,
    body_size INTEGER,
    body_type TEXT,
    body_expires INTEGER,
    events TEXT NOT NULL
  );
  CREATE INDEX payments_in_doubt ON payments (seq) WHERE status = 'unknown';
  CREATE INDEX payments_by_time ON payments (time);
  CREATE TABLE accounts (
    name TEXT PRIMARY KEY,
    method TEXT NOT NULL,
    address TEXT NOT NULL,
    source TEXT NOT NULL,
    is_default INTEGER NOT NULL,
    created INTEGER NOT NULL
  );
)sql",
                                                 R"sql(
  CREATE TABLE channels (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    scope TEXT NOT NULL,
    status TEXT NOT NULL,
    method TEXT NOT NULL,
    origin TEXT NOT NULL,
    url TEXT NOT NULL,
    payer TEXT NOT NULL,
    payee TEXT NOT NULL,
    account TEXT NOT NULL,
    escrow TEXT NOT NULL,
    descriptor TEXT NOT NULL,
    opening TEXT NOT NULL,
    opening_until INTEGER NOT NULL,
    symbol TEXT NOT NULL,
    decimals INTEGER NOT NULL,
    token TEXT NOT NULL,
    network TEXT NOT NULL,
    is_dollar INTEGER NOT NULL,
    is_test INTEGER NOT NULL,
    deposit TEXT NOT NULL,
    signed TEXT NOT NULL,
    accepted TEXT NOT NULL,
    spent TEXT NOT NULL,
    units INTEGER NOT NULL,
    opened INTEGER NOT NULL,
    used INTEGER NOT NULL,
    withdrawable INTEGER,
    source TEXT NOT NULL
  );
  CREATE INDEX channels_by_scope ON channels (scope, seq);
  CREATE INDEX channels_not_closed ON channels (seq) WHERE status != 'closed';
  CREATE TABLE offers (
    endpoint TEXT PRIMARY KEY,
    protocol TEXT NOT NULL,
    challenge TEXT NOT NULL,
    expires INTEGER NOT NULL,
    clock_offset INTEGER NOT NULL
  );
)sql",
                                                 R"sql(
  ALTER TABLE accounts ADD COLUMN network TEXT NOT NULL DEFAULT '';
)sql",
                                                 R"sql(
  ALTER TABLE payments ADD COLUMN swap TEXT;
)sql",
                                                 R"sql(
  ALTER TABLE payments ADD COLUMN run TEXT;
  ALTER TABLE payments ADD COLUMN run_amount TEXT NOT NULL DEFAULT '0';
  ALTER TABLE payments ADD COLUMN raised INTEGER;
  ALTER TABLE payments ADD COLUMN price TEXT;
  CREATE INDEX payments_by_run ON payments (run) WHERE run IS NOT NULL;
  CREATE INDEX payments_by_reference ON payments (reference) WHERE reference IS NOT NULL;
  CREATE INDEX payments_by_origin ON payments (origin, time);
  CREATE INDEX payments_by_once ON payments (once) WHERE once IS NOT NULL;
  CREATE UNIQUE INDEX payments_paid_once ON payments (once)
    WHERE once IS NOT NULL AND status IN ('unknown', 'settled');
  CREATE TABLE escrows (
    run TEXT NOT NULL,
    session TEXT NOT NULL,
    amount TEXT NOT NULL,
    symbol TEXT NOT NULL,
    decimals INTEGER NOT NULL,
    token TEXT NOT NULL,
    network TEXT NOT NULL,
    is_dollar INTEGER NOT NULL,
    is_test INTEGER NOT NULL,
    time INTEGER NOT NULL,
    PRIMARY KEY (run, session)
  ) WITHOUT ROWID;
)sql"};

Error system_error(const std::string& what, int code) {
  return {Kind::internal, what + ": " + std::strerror(code),
          "paycurl keeps its journal there and pays nothing without it"};
}

Result<> sync_folder(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return system_error("opening " + path, errno);
  const int failed = ::fsync(fd) != 0 ? errno : 0;
  ::close(fd);
  if (failed != 0) return system_error("writing " + path, failed);
  return {};
}

Result<> create_file(const std::string& folder, const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return errno == EEXIST ? Result<>() : system_error("creating " + path, errno);
  ::close(fd);
  return sync_folder(folder);
}

/// Ours, of the kind we expect, and nobody else can write to it.
Result<> check_owner(const std::string& path, mode_t kind) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return system_error("looking at " + path, errno);
  const char* wrong = (status.st_mode & S_IFMT) != kind ? "is a link or not what it should be"
                      : status.st_uid != ::geteuid()    ? "belongs to another user"
                      : (status.st_mode & 022) != 0     ? "is writable by other users"
                                                        : nullptr;
  if (wrong == nullptr) return {};
  return Error{
      Kind::internal, path + " " + wrong,
      "paycurl keeps its journal there; make it yours alone (chmod go-w) or set XDG_STATE_HOME"};
}

/// SQLite has no queue, and its own waiting grows to 100 ms, in which others come first: with many
/// processes one would wait for ever. Short waits give each its turn.
int wait_for_writer(void*, int times) {
  std::this_thread::sleep_for(std::chrono::microseconds(500 + 400 * (times % 8)));
  return times < 20'000 ? 1 : 0;  // about 40 s
}

}  // namespace

Result<> make_private_folder(const std::string& path) {
  for (std::size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string part = path.substr(0, slash);
    if (::mkdir(part.c_str(), 0700) == 0) {
      const std::size_t parent = part.rfind('/');
      if (auto synced = sync_folder(parent == 0 ? "/" : part.substr(0, parent)); !synced) {
        return synced;
      }
    } else if (errno != EEXIST) {
      return system_error("creating " + part, errno);
    }
    if (slash == std::string::npos) break;
  }
  return check_owner(path, S_IFDIR);
}

void Statement::Finalize::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}
void Database::Close::operator()(sqlite3* database) const {
  sqlite3_close(database);
}

Statement& Statement::bind(std::string_view text) {
  sqlite3_bind_text64(statement_.get(), ++bound_, text.data(), text.size(), SQLITE_TRANSIENT,
                      SQLITE_UTF8);
  return *this;
}

Statement& Statement::bind(std::int64_t value) {
  sqlite3_bind_int64(statement_.get(), ++bound_, value);
  return *this;
}

Statement& Statement::bind_optional(const std::optional<std::string>& text) {
  if (text) return bind(*text);
  ++bound_;  // what is not bound is NULL
  return *this;
}

Statement& Statement::bind_optional(const std::optional<std::int64_t>& value) {
  if (value) return bind(*value);
  ++bound_;
  return *this;
}

Result<bool> Statement::step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return Error{Kind::internal,
               std::string("the journal: ") + sqlite3_errmsg(sqlite3_db_handle(statement_.get())),
               "nothing is paid without it; see that its disk has room and works"};
}

Result<> Statement::run() {
  const auto stepped = step();
  if (!stepped) return stepped.error();
  return {};
}

std::string Statement::text(int column) const {
  return optional_text(column).value_or("");
}

std::optional<std::string> Statement::optional_text(int column) const {
  const auto* text = sqlite3_column_text(statement_.get(), column);
  if (text == nullptr) return std::nullopt;
  return std::string(reinterpret_cast<const char*>(text),
                     static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column)));
}

std::int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

bool Statement::is_null(int column) const {
  return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
}

Result<std::optional<Database>> Database::open(const std::string& folder, bool create) {
  const std::string path = folder + "/paycurl.db";
  if (::access(path.c_str(), F_OK) != 0) {
    // One that cannot be seen may be there, with payments in doubt.
    if (errno != ENOENT && errno != ENOTDIR) return system_error("opening " + path, errno);
    if (!create) return std::optional<Database>();
    if (auto made = make_private_folder(folder); !made) return made.error();
    if (auto made = create_file(folder, path); !made) return made.error();
  }
  if (auto safe = check_owner(folder, S_IFDIR); !safe) return safe.error();
  if (auto safe = check_owner(path, S_IFREG); !safe) return safe.error();
  Database database;
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &handle, SQLITE_OPEN_READWRITE, nullptr);
  database.database_.reset(handle);
  if (code != SQLITE_OK) return database.failure("opening");
  if (auto ready = database.configure(); !ready) return ready.error();
  if (auto ready = database.migrate(); !ready) return ready.error();
  return std::optional(std::move(database));
}

Error Database::failure(const char* doing) const {
  return {Kind::internal, std::string(doing) + " the journal: " + sqlite3_errmsg(database_.get()),
          "nothing is paid without it; see that its disk has room and works"};
}

/// Switches to a write-ahead log, which a new database does not have. Processes that do so at the
/// same moment would wait for each other, so SQLite fails at once in one of them: it tries again.
Result<> Database::use_log() {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (true) {
    auto mode = prepare("PRAGMA journal_mode=WAL");
    const auto row = mode ? mode->step() : Result<bool>(mode.error());
    if (row && *row && mode->text(0) == "wal") return {};
    if (row) {
      return Error{Kind::internal, "the journal cannot use a write-ahead log on this file system",
                   "set XDG_STATE_HOME to a local disk"};
    }
    const bool is_busy = sqlite3_errcode(database_.get()) == SQLITE_BUSY;
    if (!is_busy || std::chrono::steady_clock::now() >= end) return row.error();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

Result<> Database::configure() {
  sqlite3_busy_handler(database_.get(), &wait_for_writer, nullptr);
  if (auto switched = use_log(); !switched) return switched;
  // The log is folded into the database now and then, not at the end of every payment; a short log
  // is quickly read by the next process.
  sqlite3_db_config(database_.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  sqlite3_wal_autocheckpoint(database_.get(), 100);
  return run("PRAGMA synchronous=FULL");
}

Result<> Database::migrate() {
  const auto version = [this]() -> Result<std::int64_t> {
    auto asked = prepare("PRAGMA user_version");
    if (!asked) return asked.error();
    if (const auto row = asked->step(); !row) return row.error();
    return asked->integer(0);
  };
  auto found = version();
  if (!found) return found.error();
  constexpr auto kNewest = static_cast<std::int64_t>(kMigrations.size());
  if (*found > kNewest) {
    return Error{Kind::internal, "the journal was written by a newer paycurl",
                 "use that version, or set XDG_STATE_HOME to another folder"};
  }
  if (*found == kNewest) return {};
  auto transaction = begin();
  if (!transaction) return transaction.error();
  found = version();  // another process may have been quicker
  if (!found) return found.error();
  for (std::int64_t step = *found; step < kNewest; ++step) {
    if (auto done = run(kMigrations[static_cast<std::size_t>(step)]); !done) return done;
  }
  if (auto done = run("PRAGMA user_version=" + std::to_string(kNewest)); !done) return done;
  return transaction->commit();
}

Result<Statement> Database::prepare(std::string_view sql) {
  Statement statement;
  sqlite3_stmt* handle = nullptr;
  if (sqlite3_prepare_v2(database_.get(), sql.data(), static_cast<int>(sql.size()), &handle,
                         nullptr) != SQLITE_OK) {
    return failure("reading");
  }
  statement.statement_.reset(handle);
  return statement;
}

Result<> Database::run(std::string_view sql) {
  if (sqlite3_exec(database_.get(), std::string(sql).c_str(), nullptr, nullptr, nullptr) !=
      SQLITE_OK) {
    return failure("writing");
  }
  return {};
}

Result<> Database::lightly(const std::function<Result<>()>& work) {
  if (auto set = run("PRAGMA synchronous=NORMAL"); !set) return set;
  auto done = work();
  auto back = run("PRAGMA synchronous=FULL");
  return done ? back : done;
}

std::int64_t Database::last_row() const {
  return sqlite3_last_insert_rowid(database_.get());
}

Result<Database::Transaction> Database::begin() {
  if (auto begun = run("BEGIN IMMEDIATE"); !begun) return begun.error();
  return Transaction(this);
}

Database::Transaction::~Transaction() {
  if (database_ != nullptr) (void)database_->run("ROLLBACK");
}

Result<> Database::Transaction::commit() {
  auto committed = database_->run("COMMIT");
  if (committed) database_ = nullptr;
  return committed;
}

}  // namespace paycurl
