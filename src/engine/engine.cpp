// The public face of the engine: checks of what was asked for, and forwarding. The work is in engine_core.cpp
// and session_core.cpp.
#include "tandem/engine.h"

#include <fmt/format.h>

#include "engine/engine_core.h"

namespace tandem {

// ---- Engine
// -----------------------------------------------------------------------------------------------------

Engine Engine::load(const std::string& path, const EngineOptions& options) {
  constexpr std::int64_t kMostSlots = std::int64_t{1} << 24;  // beyond, positions are no longer exact in f32
  const bool is_too_large = std::int64_t{options.session_slots} * options.max_sessions > kMostSlots;
  if (options.session_slots < 8 || options.max_sessions < 1 || options.n_threads < 0 || is_too_large) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("engine: expected session_slots >= 8, max_sessions >= 1, at most {} slots in "
                            "all, n_threads >= 0, got "
                            "{}, {}, {}",
                            kMostSlots, options.session_slots, options.max_sessions, options.n_threads));
  }
  return Engine(std::make_unique<EngineCore>(Model::load(path, {.device = options.device}), options));
}

Engine::Engine(std::unique_ptr<EngineCore> core) : core_(std::move(core)) {}
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;
Engine::~Engine() = default;

Session Engine::open(const SessionOptions& options) {
  return Session(core_->open(options));
}

std::span<const Progress> Engine::step(std::span<Session* const> sessions) {
  return core_->step(sessions);
}

std::int64_t Engine::n_shared_passes() const {
  return core_->shared_pass().n_passes();
}

std::span<const PassCost> Engine::pass_costs() const {
  return core_->pass_costs();
}

int Engine::wide_rows() const {
  return core_->wide_rows();
}

std::int64_t Engine::session_bytes() const {
  return core_->session_bytes();
}

void Engine::load_adapter(const std::string& path) {
  core_->load_adapter(path);
}

std::vector<std::string> Engine::target_languages(const std::string& adapter) const {
  return core_->target_languages(adapter);
}

// ---- Session
// ----------------------------------------------------------------------------------------------------

Session::Session(std::unique_ptr<SessionCore> core) : core_(std::move(core)) {}
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

Push Session::push_text(std::string_view text) {
  return core_->push_text(text);
}
Push Session::push_word(std::string_view word, Last last) {
  return core_->push_word(word, last);
}
void Session::end_sentence() {
  core_->end_sentence();
}
void Session::finish() {
  core_->finish();
}
Progress Session::step() {
  return core_->step();
}
std::vector<Event> Session::poll() {
  return core_->poll();
}
void Session::cancel() {
  core_->cancel();
}
void Session::reset() {
  core_->reset();
}
const Counters& Session::counters() const {
  return core_->counters();
}
std::int64_t Session::memory_bytes() const {
  return core_->memory_bytes();
}

}  // namespace tandem
