/** The files of a pack that are text: the script that runs it, and what a person reads first. */

/**
 * Unpacks the parts once, finds the Vulkan driver, runs the tests, then the benchmark. POSIX sh; needs gzip and tar. The driver is the file
 * that VK_ICD_FILENAMES names, one in the usual places, or NVIDIA's library if only that is there, as in many containers.
 */
export const RUN = `#!/bin/sh
# Usage: ./run.sh [RESULTS] [options of the benchmark, such as --quick or --filter conv2]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
results=\${1:-$here/results}
[ $# -gt 0 ] && shift
work=$here/unpacked
mkdir -p "$results"
results=$(cd "$results" && pwd)

if [ ! -e "$work/complete" ]; then
  mkdir -p "$work/lib"
  gzip -dc "$here/parts/app.tar.gz" | tar -xf - -C "$work"
  dawn=$work/app/node_modules/webgpu/dist/linux-x64
  mkdir -p "$dawn"
  gzip -dc "$here/parts/dawn.node.gz" > "$dawn/dawn.node"
  gzip -dc "$here/parts/libvulkan.so.1.gz" > "$work/lib/libvulkan.so.1"
  gzip -dc "$here/parts/node.gz" > "$work/node"
  chmod +x "$work/node"
  touch "$work/complete"
fi

# The loader of the machine comes first: it fits the driver.
export LD_LIBRARY_PATH="\${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}/usr/lib/x86_64-linux-gnu:/usr/lib64:$work/lib"
: "\${XDG_RUNTIME_DIR:=$work}"
export XDG_RUNTIME_DIR

if [ -z "\${VK_ICD_FILENAMES:-}" ]; then
  for file in /usr/share/vulkan/icd.d/nvidia_icd*.json /etc/vulkan/icd.d/nvidia_icd*.json /usr/local/nvidia/share/vulkan/icd.d/nvidia_icd*.json; do
    if [ -e "$file" ]; then export VK_ICD_FILENAMES="$file"; break; fi
  done
fi
if [ -z "\${VK_ICD_FILENAMES:-}" ]; then
  for library in libGLX_nvidia.so.0 libEGL_nvidia.so.0; do
    for place in /usr/lib/x86_64-linux-gnu /usr/lib64 /usr/local/nvidia/lib64; do
      if [ -z "\${VK_ICD_FILENAMES:-}" ] && [ -e "$place/$library" ]; then
        printf '{ "file_format_version": "1.0.0", "ICD": { "library_path": "%s", "api_version": "1.3.0" } }' "$place/$library" > "$work/nvidia_icd.json"
        export VK_ICD_FILENAMES="$work/nvidia_icd.json"
      fi
    done
  done
fi
echo "Vulkan driver: \${VK_ICD_FILENAMES:-found by the loader}"

status=0
echo "== tests"
# TESTS may choose tests, as in TESTS="--only matmul,conv2d".
"$work/node" "$work/app/tests.mjs" \${TESTS:-} > "$results/tests.txt" 2>&1 || status=$?
grep -E "^(GPU|software device|left out)" "$results/tests.txt" || true
tail -n 1 "$results/tests.txt"
if grep -q "^left out" "$results/tests.txt"; then
  echo "there is no device to test and measure: see README.txt"
  exit 3
fi
[ "$status" -eq 0 ] || echo "the tests failed; see $results/tests.txt"
echo "== benchmark"
"$work/node" "$work/app/bench.mjs" --peers --out "$results" "$@" 2> "$results/bench.log" || status=$?
echo "wrote $results/tests.txt, $results/report.json and $results/report.md"
exit "$status"
`;

export const README = `Tests and benchmark of zfnet's WebGPU backend for a Linux machine (x86-64, glibc 2.34 or later) with a GPU and its Vulkan driver.
Neither Node nor npm is needed; sh, gzip and tar are.

  ./run.sh                      tests first, then the benchmark; results in ./results
  ./run.sh /tmp/found --quick   results elsewhere, shorter measurements
  TESTS="--only matmul,conv2d" ./run.sh    only the tests of these operations

results/tests.txt    every operation on the device, with its gradients; the last line counts what passed and failed
results/report.md    the device's name and measured ceilings, products, layers, steps, and TensorFlow.js beside them
results/report.json  the same for programs

The first lines of the report name the device. If it says that a software device computed, no Vulkan driver of the GPU was found:
install it, or name its description with VK_ICD_FILENAMES=/path/to/nvidia_icd.json. In containers, NVIDIA's driver needs
NVIDIA_DRIVER_CAPABILITIES=all (or graphics). Memory: the benchmark at batch 128 takes about 8 GB on the device and in the processor.
`;
