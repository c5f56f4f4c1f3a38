// SQLite, as little of it as we need, with failures as values.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "src/base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace paycurl {

/// One prepared statement. `bind` its values in order, then `step` for each row.
class Statement {
 public:
  Statement& bind(std::string_view text);
  Statement& bind(std::int64_t value);
  Statement& bind_optional(const std::optional<std::string>& text);
  Statement& bind_optional(const std::optional<std::int64_t>& value);

  /// True when there is a row. Kind::internal when the database failed (disk full, I/O, busy).
  Result<bool> step();
  /// Runs a statement that gives no rows.
  Result<> run();

  std::string text(int column) const;
  std::optional<std::string> optional_text(int column) const;
  std::int64_t integer(int column) const;
  bool is_null(int column) const;

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  int bound_ = 0;
};

/// An open database. Every commit is on the disk when it returns (WAL, synchronous=FULL).
class Database {
 public:
  /// Opens `folder`/paycurl.db, making both when `create` is set: folder 0700, file 0600, names
  /// fsynced. nullopt when it is not there and `create` is not set. Kind::internal when it cannot
  /// be opened safely: owned or writable by others, a link, not in WAL mode, or from a newer
  /// paycurl.
  static Result<std::optional<Database>> open(const std::string& folder, bool create);

  Result<Statement> prepare(std::string_view sql);
  Result<> run(std::string_view sql);
  /// Commits inside `work` survive the process, but not always the machine. Not in a transaction.
  Result<> lightly(const std::function<Result<>()>& work);
  std::int64_t last_row() const;

  /// A transaction that holds the write lock from its start; undone unless committed.
  class Transaction {
   public:
    Transaction(Transaction&& other) noexcept
        : database_(std::exchange(other.database_, nullptr)) {}
    Transaction& operator=(Transaction&&) = delete;
    ~Transaction();
    Result<> commit();

   private:
    friend class Database;
    explicit Transaction(Database* database) : database_(database) {}
    Database* database_;
  };
  Result<Transaction> begin();

 private:
  struct Close {
    void operator()(sqlite3* database) const;
  };
  Error failure(const char* doing) const;
  Result<> use_log();
  Result<> configure();
  Result<> migrate();

  std::unique_ptr<sqlite3, Close> database_;
};

/// Makes `path` and its missing parents with mode 0700 and fsyncs their names. The last folder must
/// be ours and not writable by others.
Result<> make_private_folder(const std::string& path);

}  // namespace paycurl
