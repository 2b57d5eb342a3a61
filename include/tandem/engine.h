// Tandem in one header: a loaded model, and sessions that read a source and write a target at the same time.
//
//   auto engine = tandem::Engine::load("models/default.gguf", {});
//   tandem::SessionOptions options;
//   options.target_languages = {"de"};                // or {"de", "fr"}: two targets of one reading
//   options.k = 3;                                    // start writing after three words, then word by word
//   tandem::Session session = engine.open(options);
//   session.push_text("A man is riding a bi");         // any cut will do, as it arrives
//   session.push_text("ke down the street.");
//   session.finish();
//   while (session.step() == tandem::Progress::kMore) {}
//   for (const tandem::Event& event : session.poll())
//     if (event.kind == tandem::EventKind::kCommit) std::cout << event.text << std::flush;
//
// An Engine is one loaded model with its compute: one thread at a time may use it and its sessions. A Session
// is one mutable timeline: sentence after sentence, each read as it arrives. Committed text is append-only.
// The engine must outlive its sessions. Nothing here waits: step() runs at most one pass and says whether
// there is more to do.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tandem/error.h"

namespace tandem {

class EngineCore;
class SessionCore;

/// Precision of the cached K and V: 32, 16, 8.5 or 4.5 bits a number. f32 is exact to 1e-6 whatever the order
/// of slots; the last two are ggml's q8_0 and q4_0, which need heads of a multiple of 32 numbers. What they
/// cost in quality: docs/decisions.md.
enum class CachePrecision { kFloat16, kFloat32, kQ8, kQ4 };

/// What a pass of so many rows takes.
struct PassCost {
  int rows = 0;
  double ms = 0;
};

/// Whether passes multiply with a second copy of quantised matrices, in blocks of integers (nine bits a
/// weight, scales included): a pass of several rows is several times as fast on a CPU with AVX-512 VNNI, two
/// to three times on one with AVX2. kByCost: passes do from the number of rows on where it pays, measured
/// with the first session, and where none does the copies are freed; kAlways: all passes do, whatever it
/// costs; kNever saves the memory. f32, f16 and bf16 weights have no copy. docs/passes.md.
enum class Wide { kNever, kAlways, kByCost };

struct EngineOptions {
  std::string device;        // by ggml's name ("CPU", "CUDA0"); empty: the first GPU there is, else the CPU
  int n_threads = 0;         // 0: the machine's cores
  int session_slots = 1024;  // rows of source and target that one sentence may have together
  int max_sessions = 1;      // spans of the cache reserved at load
  // Rows that long sources may take of a pass which several sessions share: more make a newcomer's first word
  // come sooner, and the others' words later.
  int shared_source_rows = 64;
  CachePrecision cache = CachePrecision::kFloat16;
  Wide wide = Wide::kByCost;
  // Known from an earlier run, by rows, ascending. Empty: measured when the first session that asks is
  // opened.
  std::vector<PassCost> pass_costs = {};
};

// What a pass takes along is where the speed comes from (docs/passes.md). None of these changes the text.

/// Source rows ride in the pass of the target rows that see them first, or go before it in one of their own.
enum class Fuse { kNever, kWhenReady };
/// When the next unit is there, whether a word goes on and what begins after it are asked in one pass, or one
/// by one.
/// kByCost does what is faster on this machine with so many sessions (Engine::pass_costs).
enum class Fork { kNever, kWhenReady, kByCost };
/// Source that has arrived and may not be seen yet rides along.
enum class ReadAhead { kNever, kWhenRoom };
/// Where the source suffix goes when the last word is known in time (it is a unit of its own when it is not).
enum class Suffix { kWithLastWord, kOwnUnit };

/// k without a limit: read the whole source, then write.
inline constexpr int kUnlimited = 0;

/// What stands around source and target, for a stock model without `tandem.*` keys; special tokens by name.
struct PromptText {
  std::string source_prefix;
  std::string source_suffix;
  std::string target_prefix;
  std::string end;
};

struct SessionOptions {
  // Of those that the model file, or the adapter, lists. Several are targets of one source: its rows are read
  // and kept once for all of them, and each target is written as it would be alone.
  std::vector<std::string> target_languages;
  std::string adapter;               // as given to Engine::load_adapter; empty: the model as it is
  std::optional<PromptText> prompt;  // instead of the model file's, or of its family's chat format
  int k = 3;                         // wait-k; kUnlimited for batch mode
  std::optional<Suffix> suffix;  // default: as the model was trained; with the last word where it knows both
  // No n tokens twice in the same order in one target, as no_repeat_ngram_size elsewhere; 0: no such rule.
  // Default: what the model file says, if it says something.
  std::optional<int> no_repeat_ngram;
  Fuse fuse = Fuse::kWhenReady;
  Fork fork = Fork::kByCost;
  ReadAhead read_ahead = ReadAhead::kWhenRoom;
  // A sentence's target may have at most target_rows_base + target_rows_per_source_row * (source rows read)
  // tokens: then its end is forced, as if the model had written it.
  int target_rows_base = 48;
  int target_rows_per_source_row = 3;
};

enum class EventKind {
  kRead,      // a source unit was taken
  kWrite,     // a piece was chosen; not yet committed
  kCommit,    // a target word will never change again
  kSentence,  // the sentence's end was written; the next one begins with nothing remembered
  kFailed,    // the sentence cannot go on; `text` says why, the next sentence is not affected
};

struct Event {
  EventKind kind = EventKind::kRead;
  int sentence = 0;
  int target = 0;        // whose event it is, by the order of SessionOptions::target_languages
  int index = 0;         // unit read, or word committed or written, in its sentence
  std::string text;      // the source word; the committed word with the space in front of it; or the reason
  int delay_words = 0;   // source words read so far in this sentence
  int visible_rows = 0;  // source rows that the event's target row could see
  std::int64_t passes = 0;  // passes of this session so far
};

/// Whether a source word is its sentence's last.
enum class Last { kNo, kYes };

enum class Progress {
  kMore,        // call step() again
  kNeedsInput,  // everything that may be written is written: push more, or finish()
  kFinished,    // finish() was called and the last sentence has ended
  kCancelled,
};

enum class Push {
  kAccepted,
  kFull,    // the queue of unread words is full: step() first
  kClosed,  // after finish() or cancel()
};

struct Counters {
  std::int64_t passes = 0;
  std::int64_t rows = 0;
  std::int64_t source_rows = 0;
  std::int64_t logit_rows = 0;
  std::int64_t drafts = 0;         // rows evaluated under a visibility that might not be kept
  std::int64_t dropped_rows = 0;   // drafts that were not kept, and rows taken back at an early end
  std::int64_t rows_twice = 0;     // source rows evaluated more than once: always 0
  std::int64_t target_tokens = 0;  // text tokens written, and ends
};

class Session {
 public:
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;
  ~Session();

  /// Source text as it arrives, cut anywhere (UTF-8). Words end at white space, sentences at sentence-final
  /// punctuation. Bytes that are not UTF-8 are skipped.
  [[nodiscard]] Push push_text(std::string_view text);
  /// One source word. `is_last` ends the sentence with it. Throws Error{kInvalidArgument} if it is not valid
  /// UTF-8.
  [[nodiscard]] Push push_word(std::string_view word, Last last = Last::kNo);
  /// Ends the sentence that is being read, if one is: a suffix of its own if its last word was READ already.
  void end_sentence();
  /// No more source.
  void finish();

  /// At most one pass over the weights. Cost: one reading of the weights.
  [[nodiscard]] Progress step();
  /// Events since the last poll, in order.
  std::vector<Event> poll();

  /// Stops at once; committed text stays as it is. step() returns kCancelled from then on.
  void cancel();
  /// Back to an empty session with the same options. Counters go on.
  void reset();

  const Counters& counters() const;
  /// Bytes of the cache span and of everything else that the session holds.
  std::int64_t memory_bytes() const;

 private:
  friend class Engine;
  friend class EngineCore;
  explicit Session(std::unique_ptr<SessionCore> core);
  std::unique_ptr<SessionCore> core_;
};

class Engine {
 public:
  /// Loads a GGUF file. Throws Error: what in the file, what was expected, what was found.
  static Engine load(const std::string& path, const EngineOptions& options);
  Engine(Engine&&) noexcept;
  Engine& operator=(Engine&&) noexcept;
  ~Engine();

  /// Throws Error{kNotFound} for a target language that the model does not have (naming those it has),
  /// Error{kInvalidArgument} for a bad k, Error{kUnsupported} when max_sessions are open.
  Session open(const SessionOptions& options);

  /// Bytes of the cache that a session of this engine takes from open() on, whatever it reads. All
  /// max_sessions of them are reserved at load.
  std::int64_t session_bytes() const;

  /// Loads a LoRA adapter for the model, a GGUF file: `SessionOptions::adapter` chooses it by this path. Any
  /// number may be loaded beside one model; sessions with different ones share passes. What an adapter's
  /// `tandem.*` keys say (template, languages, ids that it writes) takes the place of all that the model's
  /// say. Loading the same path again changes sessions that are opened from then on. Cost: reading it, and
  /// its copies of EngineOptions::wide. Throws Error like load(), and if the adapter was made for another
  /// model.
  void load_adapter(const std::string& path);

  /// At most one pass with rows of all these sessions: a reading of the weights then serves many. All must be
  /// this engine's, none twice; they may have different adapters. Returns the Progress of each in the same
  /// order, valid until the next step. Sessions that a pass has no room for come first in the next one: among
  /// n sessions none waits more than n - 1 passes. What is thrown by a pass leaves all of its sessions in
  /// need of a reset().
  std::span<const Progress> step(std::span<Session* const> sessions);
  /// Readings of the weights by step() so far. A session's own counters count those that it had rows in.
  std::int64_t n_shared_passes() const;

  /// What Fork::kByCost decides by: given, or measured with the first session that asked; empty before that.
  std::span<const PassCost> pass_costs() const;
  /// From how many rows on a product takes the copies of EngineOptions::wide; 0: none does, or no adapter was
  /// loaded and no session opened yet.
  int wide_rows() const;

  /// Of the model, or of an adapter that is loaded. Throws Error{kNotFound} for one that is not.
  std::vector<std::string> target_languages(const std::string& adapter = "") const;

 private:
  friend class Service;
  explicit Engine(std::unique_ptr<EngineCore> core);
  std::unique_ptr<EngineCore> core_;
};

}  // namespace tandem
