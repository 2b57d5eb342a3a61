// What sessions take that are open and idle, and those that work: resident memory beside the weights.
//
// Opens them all on one engine; each translates a sentence, as an idle caption stream has before its speaker
// fell silent; then the live ones translate three more. Printed: resident memory with the weights alone, with
// all sessions open, after their first sentence, and at the end.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "tandem/engine.h"

namespace {

constexpr const char* kSentence =
    "A young girl in a red coat is feeding the ducks by the lake while her father reads the paper.";

struct Arguments {
  std::string model = "models/default.gguf";
  std::string language = "de";
  int n_idle = 500;
  int n_live = 50;
  int n_threads = 0;
};

double resident_mib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmRSS:", 0) == 0) return std::stod(line.substr(6)) / 1024;
  }
  throw tandem::Error(tandem::ErrorCode::kUnsupported, "expected VmRSS in /proc/self/status, found none");
}

/// A sentence in each of the sessions, together.
void translate(tandem::Engine& engine, std::vector<tandem::Session*> sessions) {
  for (tandem::Session* session : sessions) {
    if (session->push_text(kSentence) != tandem::Push::kAccepted)
      throw tandem::Error(tandem::ErrorCode::kInternal, "a session takes no text");
    session->end_sentence();
  }
  while (!sessions.empty()) {
    const auto progress = engine.step(sessions);
    std::vector<tandem::Session*> rest;
    for (std::size_t i = 0; i < sessions.size(); ++i) {
      (void)sessions[i]->poll();
      if (progress[i] == tandem::Progress::kMore) rest.push_back(sessions[i]);
    }
    sessions = std::move(rest);
  }
}

void show(const char* when, double base) {
  const double now = resident_mib();
  fmt::print("{:<44} {:8.1f} MiB {:8.1f} beside the weights\n", when, now, now - base);
}

void run(const Arguments& arguments) {
  const int n_all = arguments.n_idle + arguments.n_live;
  double base = 0;
  {
    auto alone =
        tandem::Engine::load(arguments.model, {.n_threads = arguments.n_threads, .session_slots = 64});
    auto session = alone.open({.target_languages = {arguments.language}});
    translate(alone, {&session});
    base = resident_mib();
    show("weights, and one small session", base);
  }
  auto engine =
      tandem::Engine::load(arguments.model, {.n_threads = arguments.n_threads, .max_sessions = n_all});
  std::vector<tandem::Session> sessions;
  for (int i = 0; i < n_all; ++i) sessions.push_back(engine.open({.target_languages = {arguments.language}}));
  std::vector<tandem::Session*> all;
  for (tandem::Session& session : sessions) all.push_back(&session);
  const std::vector<tandem::Session*> live(all.end() - arguments.n_live, all.end());
  fmt::print("{} sessions, {:.2f} MiB of cache reserved for each\n", n_all,
             static_cast<double>(engine.session_bytes()) / 1048576);
  show("all open", base);
  translate(engine, all);
  show("after a sentence in each", base);
  for (int i = 0; i < 3; ++i) translate(engine, live);
  show(fmt::format("after three more in {}", arguments.n_live).c_str(), base);
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("Resident memory of idle and live sessions");
  app.add_option("--model", arguments.model, "GGUF file")->capture_default_str();
  app.add_option("--to", arguments.language, "Target language")->capture_default_str();
  app.add_option("--idle", arguments.n_idle)->check(CLI::Range(0, 100000))->capture_default_str();
  app.add_option("--live", arguments.n_live)->check(CLI::Range(1, 100000))->capture_default_str();
  app.add_option("--threads", arguments.n_threads, "0: one per core")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    run(arguments);
  } catch (const tandem::Error& error) {
    std::cerr << "bench_idle_sessions: " << error.what() << '\n';
    return 1;
  }
}
