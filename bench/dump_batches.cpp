// The first batches of a training run as a file, so that another program can train on the very same ones
// (train_throughput.py). Per batch, in native byte order:
//
//   int32    n_sequences, n_places, n_rows, n_labels
//   int32    tokens[n_rows], place[n_rows], doubled_position[n_rows], label_rows[n_labels], labels[n_labels]
//   float32  mask[n_sequences, n_places, n_places]                       (train/collate.h says what each
//   means)
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>

#include "tandem/error.h"
#include "train/batching.h"
#include "train/collate.h"
#include "train/corpus.h"
#include "train/random.h"
#include "train/starting_point.h"

namespace {

template <class T>
void put(std::ofstream& out, const std::vector<T>& values) {
  out.write(reinterpret_cast<const char*>(values.data()),
            static_cast<std::streamsize>(values.size() * sizeof(T)));
}

void put(std::ofstream& out, const tandem::Batch& batch) {
  put<std::int32_t>(out, {batch.n_sequences, batch.n_places, static_cast<std::int32_t>(batch.n_rows()),
                          static_cast<std::int32_t>(batch.labels.size())});
  put(out, batch.tokens);
  put(out, batch.place);
  put(out, batch.doubled_position);
  put(out, batch.label_rows);
  put(out, batch.labels);
  put(out, batch.mask);
}

/// Batch by batch as the trainer draws them (trainer.cpp): its order, its seed for each step.
void dump(const tandem::TrainConfig& config, int n_batches, const std::string& path) {
  using namespace tandem;
  const auto start = open_starting_point(config);
  const Corpus corpus = start->read_training_text();
  std::vector<Prompt> prompts;
  for (const std::string& language : config.target_languages)
    prompts.push_back(tokenize_prompt(config.prompt, language, start->vocabulary()));
  const Collator collator(std::move(prompts), config, start->window());
  std::vector<int> rows, sets;
  for (std::size_t i = 0; i < corpus.size(); ++i) {
    rows.push_back(collator.count_rows(corpus.example(i)));
    sets.push_back(corpus.set(i));
  }
  BatchStream batches(std::move(rows), std::move(sets),
                      {weights_by_set(corpus, config), config.rows_per_batch, config.seed});

  std::ofstream out(path, std::ios::binary);
  for (int step = 0; step < n_batches; ++step) {
    Random random{config.seed, 0x73746570U, static_cast<std::uint64_t>(step)};
    (void)random.next();  // the trainer's dropout takes one
    std::vector<Example> examples;
    for (const std::int32_t index : batches.next())
      examples.push_back(corpus.example(static_cast<std::size_t>(index)));
    std::vector<const Example*> pointers;
    for (const Example& example : examples) pointers.push_back(&example);
    put(out, collator.collate(pointers, random));
  }
  out.close();
  if (!out) throw Error(ErrorCode::kIo, fmt::format("{}: cannot write it", path));
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("The first batches of a training run as a file");
  std::string config, output;
  int n_batches = 30;
  app.add_option("--config", config,
                 "the run's TOML file; its checkpoint_dir has the vocabulary, if the run made one")
      ->required();
  app.add_option("--output", output)->required();
  app.add_option("--batches", n_batches)->capture_default_str()->check(CLI::Range(1, 100000));
  CLI11_PARSE(app, argc, argv);
  try {
    dump(tandem::read_train_config(config), n_batches, output);
  } catch (const std::exception& error) {
    std::cerr << "bench_dump_batches: " << error.what() << '\n';
    return 1;
  }
  return 0;
}
