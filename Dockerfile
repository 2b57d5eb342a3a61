# The two commands on a bare Debian 12:
#   docker build -t tandem . && docker run --rm -it tandem              the demo on the terminal
#   docker run --rm tandem make test                                    installs the trainer's packages, runs the tests
# ggml is built for any x86-64 with AVX2 (or any ARMv8), not for the machine that builds the image.
FROM debian:12
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates git make \
 && rm -rf /var/lib/apt/lists/*
ENV CMAKE_ARGS="-DGGML_NATIVE=OFF"
WORKDIR /tandem
COPY scripts/install-packages scripts/install-llama scripts/
RUN scripts/install-packages demo && scripts/install-llama
COPY . .
RUN make build
CMD ["make", "demo"]
