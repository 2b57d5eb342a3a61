#include "cli/bench_text.h"

#include <array>

namespace tandem {
namespace {

constexpr std::array<std::string_view, 48> kText = {
    "A woman waters her tomatoes.",
    "Two boys are kicking a red ball against the wall of an old school.",
    "The bus was late again this morning, so we walked to the station together and talked about the summer.",
    "When the rain had stopped, the people came out of the cafe, shook the water from their chairs, ordered "
    "another coffee and watched how the street slowly filled with children, dogs and bicycles.",
    "A man sleeps on the beach.",
    "Three girls in yellow jackets are sitting on a bench and eating ice cream.",
    "My grandfather repaired clocks for forty years, and he could tell by the sound alone which wheel was "
    "worn.",
    "The young teacher stands in front of the blackboard with a piece of chalk in her hand and explains to "
    "the class why the moon seems larger when it is close to the horizon.",
    "Nobody answered the telephone today.",
    "A brown dog jumps over a fallen tree in the middle of the forest.",
    "If you want to see the sunrise from the hill, you have to leave the house before five o'clock.",
    "We had planned to cross the mountains in two days, but the snow was deeper than expected, the hut was "
    "closed, and in the end we were glad to find a barn with dry straw.",
    "The children build a snowman.",
    "An old woman with a blue umbrella is waiting for the tram at the corner.",
    "The library will stay open until ten tonight, because many students still have to prepare for their "
    "examinations next week.",
    "A group of musicians plays in the square in front of the cathedral, while tourists take pictures, throw "
    "coins into a violin case and clap their hands after each song.",
    "He forgot his keys in the car.",
    "The cook cuts onions and carrots and puts them into a large iron pot.",
    "Many small towns lost their railway in those years, and some of them are now trying to bring it back.",
    "What surprised the doctors most was not that the medicine worked, but that it worked so quickly, and "
    "that patients who had been ill for years could walk again after some weeks.",
    "Please close the window again.",
    "A little girl in a pink dress blows out the candles on her birthday cake.",
    "The farmer looked at the sky, shook his head and drove the tractor back into the barn without a word.",
    "On Saturdays the market opens at six, and by seven there are so many people between the stands that it "
    "takes half an hour to get from the fish to the flowers.",
    "The cat sits under the table.",
    "Four cyclists ride along the river on a cold and foggy morning in November.",
    "She has lived in this city for ten years and still finds streets in which she has never been before.",
    "The engineer explained that the bridge had to be closed for a year, since the old steel could not "
    "carry the trucks any more, and that ferries would take the people across.",
    "I would like some more tea.",
    "A worker with a white helmet is standing on a ladder and painting a house.",
    "Our neighbour plays the piano every evening, and in summer we open the windows to hear her better.",
    "In the museum a boy stands for a long time before the skeleton of a whale, counts the bones of its tail "
    "and asks his mother how such a heavy animal can swim.",
    "Two horses run across the field.",
    "The man in the black coat reads a newspaper while he waits for his train.",
    "It is not easy to say how old the tree is, but it was already there when the village was founded.",
    "After the concert the singer came back on the stage without her shoes, thanked the orchestra and the "
    "people who had waited in the cold, and sang one more song very softly.",
    "Our train leaves at noon.",
    "Several people are standing around a table and looking at a map of the city.",
    "The company promised to answer every letter within a week, but after a month we had not heard anything.",
    "A woman in a grey sweater shows her son how to plant a seed in a small pot, and he presses the earth "
    "down with both hands, as if something were sleeping under it.",
    "The soup is still too hot.",
    "A boy with headphones is riding his skateboard down the stairs of the town hall.",
    "The last ship of the day brings newspapers, bread and three tired tourists to the small island.",
    "Because the lift was out of order, the two men carried the piano up to the fifth floor, rested on every "
    "landing, and discovered at the top that it was too wide for the door.",
    "Dinner is at eight o'clock.",
    "A couple dances on the roof of a tall building while the sun goes down.",
    "The scientists put small cameras on the birds and found out that they sleep while they are flying.",
    "You can learn a language from books, said the old captain, but you will only speak it once you have "
    "bought bread, quarrelled and asked for the way in it on a rainy night.",
};

}  // namespace

std::span<const std::string_view> bench_text() {
  return kText;
}

}  // namespace tandem
