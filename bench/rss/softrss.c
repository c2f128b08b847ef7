/*
 * Measures rte_softrss and rte_softrss_be (the same with a converted key) of DPDK's headers.
 *
 * softrss FILE WORDS: FILE has a key of 40 bytes, and then tuples of WORDS 32-bit words each, in network order. For each input
 * line "MS FUNCTION" (FUNCTION 0: rte_softrss, 1: rte_softrss_be), the program hashes all tuples again and again for MS
 * milliseconds, and prints "LINE: NANOSECONDS XOR": the time per tuple, and the XOR of all hashes.
 */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <rte_thash.h>

#define KEY_BYTES 40
#define MAX_WORDS (1 << 20)

static uint8_t key[KEY_BYTES] __attribute__((aligned(4)));
static uint32_t converted_key[KEY_BYTES / 4];
static uint32_t words[MAX_WORDS];

static double now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1e9 + time.tv_nsec;
}

static uint32_t hash_all(size_t count, size_t tuple, int converted) {
  uint32_t all = 0;
  if (converted)
    for (size_t at = 0; at < count; at += tuple) all ^= rte_softrss_be(words + at, tuple, (uint8_t *)converted_key);
  else
    for (size_t at = 0; at < count; at += tuple) all ^= rte_softrss(words + at, tuple, key);
  return all;
}

int main(int argc, char **argv) {
  size_t tuple = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
  FILE *file = tuple > 0 ? fopen(argv[1], "rb") : NULL;
  if (file == NULL || fread(key, 1, KEY_BYTES, file) != KEY_BYTES) {
    fprintf(stderr, "usage: softrss FILE WORDS\n");
    return 2;
  }
  size_t count = fread(words, 4, MAX_WORDS, file);
  count -= count % tuple;
  /* The functions take words in the host's byte order. The conversion is not measured. */
  for (size_t i = 0; i < count; i++) words[i] = ntohl(words[i]);
  rte_convert_rss_key((uint32_t *)key, converted_key, KEY_BYTES);

  double ms;
  int converted;
  for (int line = 1; scanf("%lf %d", &ms, &converted) == 2; line++) {
    volatile uint32_t all = 0;
    size_t hashed = 0;
    double start = now_ns(), elapsed;
    do {
      all = hash_all(count, tuple, converted);
      hashed += count / tuple;
      elapsed = now_ns() - start;
    } while (elapsed < ms * 1e6);
    printf("%d: %.3f %u\n", line, elapsed / hashed, all);
    fflush(stdout);
  }
  return 0;
}
