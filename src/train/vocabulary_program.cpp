// tandem-vocabulary: trains a vocabulary for `tandem train`, which calls it. It is a program of its own
// because libsentencepiece and libtorch cannot share a process (sentencepiece_vocabulary.h).
#include <cstdio>
#include <exception>
#include <fstream>
#include <string>
#include <vector>

#include "tandem/error.h"
#include "train/gguf_export.h"
#include "train/sentencepiece_vocabulary.h"

namespace {

std::vector<std::string> read_lines(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw tandem::Error(tandem::ErrorCode::kNotFound, path + ": expected a file of sentences");
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(std::move(line));
  return lines;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() < 4) {
    std::fputs("usage: tandem-vocabulary SENTENCES MODEL.gguf SIZE CHARACTER_COVERAGE [CONTROL_TOKEN...]\n",
               stderr);
    return 2;
  }
  try {
    const tandem::VocabularyOptions options = {
        std::stoi(arguments[2]), std::stod(arguments[3]), {arguments.begin() + 4, arguments.end()}};
    const std::string model = tandem::train_sentencepiece(read_lines(arguments[0]), options);
    tandem::export_vocabulary(arguments[1], tandem::tables_of_sentencepiece(model));
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
