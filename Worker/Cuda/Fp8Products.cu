// E4M3 products on Hopper's tensor cores with the scales of the report's section 3.3: out = A · Bᵀ, both K-major, sums promoted to float32
// every 128 terms. Compiled for sm_90a by NVRTC, without headers.
//
// One block per multiprocessor walks tiles of 128 x 256. Its first warpgroup only copies (bulk tensor copies, four stages deep), the other two
// multiply 64 x 256 each: while one adds its part up in float32, the other has the tensor cores.

typedef unsigned short bf16;
typedef unsigned u32;
typedef unsigned long long u64;

struct __align__(64) TensorMap { u64 words[16]; };

constexpr int TileM = 128, TileN = 256, TileK = 128, Stages = 4;
constexpr int BytesA = TileM * TileK, BytesB = TileN * TileK;
// Shared memory: tiles of A, tiles of B, scales of B's rows, barriers. The swizzle of 128 bytes wants 1024-byte places.
constexpr int AtB = Stages * BytesA, AtScales = AtB + Stages * BytesB, AtBarriers = AtScales + Stages * TileN * 4;

__device__ u32 shared_address(const void* p) {
    u32 r;
    asm("{ .reg .u64 t; cvta.to.shared.u64 t, %1; cvt.u32.u64 %0, t; }" : "=r"(r) : "l"(p));
    return r;
}

__device__ void barrier_init(u32 barrier, int arrivals) { asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" :: "r"(barrier), "r"(arrivals)); }

__device__ void barrier_expect(u32 barrier, u32 bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" :: "r"(barrier), "r"(bytes) : "memory");
}

__device__ void barrier_arrive(u32 barrier) { asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" :: "r"(barrier) : "memory"); }

__device__ void barrier_wait(u32 barrier, u32 parity) {
    asm volatile(
        "{\n.reg .pred p;\n"
        "again:\n"
        "mbarrier.try_wait.parity.shared::cta.b64 p, [%0], %1;\n"
        "@p bra done;\n"
        "bra again;\n"
        "done:\n}\n" :: "r"(barrier), "r"(parity) : "memory");
}

__device__ void copy_tile(u32 to, const TensorMap* map, int x, int y, u32 barrier) {
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];"
        :: "r"(to), "l"(map), "r"(x), "r"(y), "r"(barrier) : "memory");
}

__device__ void copy_line(u32 to, const void* from, u32 bytes, u32 barrier) {
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];"
        :: "r"(to), "l"(from), "r"(bytes), "r"(barrier) : "memory");
}

// K-major, swizzled by 128 bytes: eight rows of 128 bytes are 1024 bytes apart from the next eight.
__device__ u64 matrix(u32 address) { return (u64)((address & 0x3FFFF) >> 4) | (1ULL << 16) | (64ULL << 32) | (1ULL << 62); }

// d (+)= 64 x 32 of A times 32 x 128 of B. Thread t of a warp has rows t / 4 and t / 4 + 8, columns 8 i + t % 4 * 2 and the next:
// d[4 i], d[4 i + 1] of the first row, d[4 i + 2], d[4 i + 3] of the second.
__device__ void multiply(float (&d)[64], u64 a, u64 b, int add) {
    asm volatile(
        "{\n.reg .pred p;\nsetp.ne.b32 p, %66, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n128k32.f32.e4m3.e4m3 {"
        "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}, %64, %65, p, 1, 1;\n}\n"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]), "+f"(d[7]), "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11]), "+f"(d[12]), "+f"(d[13]), "+f"(d[14]), "+f"(d[15]), "+f"(d[16]), "+f"(d[17]), "+f"(d[18]), "+f"(d[19]), "+f"(d[20]), "+f"(d[21]), "+f"(d[22]), "+f"(d[23]), "+f"(d[24]), "+f"(d[25]), "+f"(d[26]), "+f"(d[27]), "+f"(d[28]), "+f"(d[29]), "+f"(d[30]), "+f"(d[31]), "+f"(d[32]), "+f"(d[33]), "+f"(d[34]), "+f"(d[35]), "+f"(d[36]), "+f"(d[37]), "+f"(d[38]), "+f"(d[39]), "+f"(d[40]), "+f"(d[41]), "+f"(d[42]), "+f"(d[43]), "+f"(d[44]), "+f"(d[45]), "+f"(d[46]), "+f"(d[47]), "+f"(d[48]), "+f"(d[49]), "+f"(d[50]), "+f"(d[51]), "+f"(d[52]), "+f"(d[53]), "+f"(d[54]), "+f"(d[55]), "+f"(d[56]), "+f"(d[57]), "+f"(d[58]), "+f"(d[59]), "+f"(d[60]), "+f"(d[61]), "+f"(d[62]), "+f"(d[63])
        : "l"(a), "l"(b), "r"(add));
}

__device__ u32 pack(float low, float high) {
    u32 r;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
    return r;
}

// Of four eights i .. i + 3 of a row, spread by pairs over four lanes, the one that is this lane's, as bfloat16. which: 0 the first row, 2 the second.
template <int N>
__device__ uint4 whole(const float (&sum)[N], int i, int which, int quad) {
    u32 mine[4], got[4];
    #pragma unroll
    for (int j = 0; j < 4; j++) mine[j] = pack(sum[4 * (i + j) + which], sum[4 * (i + j) + which + 1]);
    // Round r: lane q hands lane q ^ r the pair that is in q ^ r's eight.
    #pragma unroll
    for (int r = 0; r < 4; r++) {
        int peer = quad ^ r;
        u32 hand = peer == 0 ? mine[0] : peer == 1 ? mine[1] : peer == 2 ? mine[2] : mine[3];
        got[r] = __shfl_xor_sync(~0u, hand, r);
    }
    // got[r] is pair quad ^ r of the eight.
    uint4 v;
    v.x = quad == 0 ? got[0] : quad == 1 ? got[1] : quad == 2 ? got[2] : got[3];
    v.y = quad == 1 ? got[0] : quad == 0 ? got[1] : quad == 3 ? got[2] : got[3];
    v.z = quad == 2 ? got[0] : quad == 3 ? got[1] : quad == 0 ? got[2] : got[3];
    v.w = quad == 3 ? got[0] : quad == 2 ? got[1] : quad == 1 ? got[2] : got[3];
    return v;
}

// One piece of work: a tile of the output and the part of the contraction that goes into it, in steps of 128.
struct Work { int group, row, column, first, steps; };

// Rows: rows of A are sorted by group, 128 of one tile are of one group (groups[tile of rows]; group_count and more: none), each with its own B.
// Tokens: the contraction is over tokens sorted by group, which ends at groups[group]; every group has its own output.
struct Shape { int m, n, k, group_count; const int* groups; };

template <bool Tokens>
__device__ bool work_at(const Shape& s, int index, Work& w) {
    int across = (s.n + TileN - 1) / TileN, down = s.m / TileM;
    w.column = index % across * TileN;
    int tile = index / across;
    w.row = tile % down * TileM;
    if (Tokens) {
        w.group = tile / down;
        if (w.group >= s.group_count) return false;
        w.first = s.groups && w.group ? s.groups[w.group - 1] / TileK : 0;
        w.steps = (s.groups ? s.groups[w.group] : s.k) / TileK - w.first;
    } else {
        if (tile >= down) return false;
        w.group = s.groups ? s.groups[tile] : 0;
        w.first = 0;
        w.steps = w.group < s.group_count ? s.k / TileK : 0;
    }
    return true;
}

// Rows: scales of A [k / 128, m], of B one per 128 x 128, rows apart by square_stride; group g of B begins at (g * group_x, g * group_y).
// Tokens: scales of A [k / 128, m], of B [k / 128, n].
template <bool Tokens>
__device__ void product(
    const TensorMap* a, const TensorMap* b, const float* scales_a, const float* scales_b, bf16* out,
    const Shape& shape, int group_x, int group_y, int square_stride) {
    extern __shared__ char raw[];
    u32 base = (shared_address(raw) + 1023) & ~1023u;
    char* generic = raw + (base - shared_address(raw));
    u32 full = base + AtBarriers, empty = full + 8 * Stages;
    if (threadIdx.x == 0) {
        for (int i = 0; i < Stages; i++) {
            barrier_init(full + 8 * i, 1);
            barrier_init(empty + 8 * i, 8); // a warp each
        }
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    }
    __syncthreads();

    int stage = 0;
    u32 phase = 0;
    Work w;
    if (threadIdx.x < 128) {
        asm volatile("setmaxnreg.dec.sync.aligned.u32 40;");
        if (threadIdx.x == 0) {
            for (int index = blockIdx.x; work_at<Tokens>(shape, index, w); index += gridDim.x) {
                int left = shape.n - w.column;
                u32 line = Tokens ? (left < TileN ? left : TileN) * 4 : 0;
                int y = Tokens ? w.column : w.group * group_y + w.column;
                for (int step = 0; step < w.steps; step++) {
                    barrier_wait(empty + 8 * stage, phase ^ 1);
                    barrier_expect(full + 8 * stage, BytesA + BytesB + line);
                    int x = (w.first + step) * TileK;
                    copy_tile(base + stage * BytesA, a, x, w.row, full + 8 * stage);
                    copy_tile(base + AtB + stage * BytesB, b, Tokens ? x : w.group * group_x + x, y, full + 8 * stage);
                    if (Tokens) copy_line(base + AtScales + stage * TileN * 4, scales_b + (long long)(w.first + step) * shape.n + w.column, line, full + 8 * stage);
                    if (++stage == Stages) { stage = 0; phase ^= 1; }
                }
            }
        }
    } else {
        asm volatile("setmaxnreg.inc.sync.aligned.u32 232;");
        int lane = threadIdx.x % 32, quad = lane % 4;
        int half_tile = threadIdx.x / 128 - 1;
        int row = half_tile * 64 + threadIdx.x / 32 % 4 * 16 + lane / 4;
        float part[64], sum[128];
        for (int index = blockIdx.x; work_at<Tokens>(shape, index, w); index += gridDim.x) {
            if (!Tokens && w.steps == 0) continue;
            #pragma unroll
            for (int i = 0; i < 128; i++) sum[i] = 0.0f;
            const float* by_row = scales_a + (long long)w.first * shape.m + w.row + row;
            const float* by_square = scales_b + (w.group * group_y + w.column) / 128 * (long long)square_stride + w.group * group_x / 128;
            int second = w.column + 128 < shape.n ? square_stride : 0;
            // Scales of the next step are on their way while this one multiplies.
            float upper = 0, lower = 0, left = 0, right = 0;
            if (w.steps) {
                upper = by_row[0];
                lower = by_row[8];
                if (!Tokens) { left = by_square[0]; right = by_square[second]; }
            }
            for (int step = 0; step < w.steps; step++) {
                float u = upper, l = lower, s0 = left, s1 = right;
                if (step + 1 < w.steps) {
                    by_row += shape.m;
                    upper = by_row[0];
                    lower = by_row[8];
                    if (!Tokens) { by_square++; left = by_square[0]; right = by_square[second]; }
                }
                const float2* columns = (const float2*)(generic + AtScales + stage * TileN * 4) + quad;
                barrier_wait(full + 8 * stage, phase);
                u64 da = matrix(base + stage * BytesA + half_tile * 64 * TileK), db = matrix(base + AtB + stage * BytesB);
                #pragma unroll
                for (int half = 0; half < 2; half++) {
                    #pragma unroll
                    for (int i = 0; i < 64; i++) asm volatile("" : "+f"(part[i]) :: "memory");
                    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
                    #pragma unroll
                    for (int k = 0; k < 4; k++) multiply(part, da + 2 * k, db + half * (128 * TileK / 16) + 2 * k, k);
                    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
                    asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
                    #pragma unroll
                    for (int i = 0; i < 64; i++) asm volatile("" : "+f"(part[i]) :: "memory");
                    if (!Tokens && half == 1 && lane == 0) barrier_arrive(empty + 8 * stage);
                    float us = u * (half ? s1 : s0), ls = l * (half ? s1 : s0);
                    #pragma unroll
                    for (int i = 0; i < 16; i++) {
                        if (Tokens) {
                            float2 c = columns[half * 64 + 4 * i];
                            sum[half * 64 + 4 * i] += u * c.x * part[4 * i];
                            sum[half * 64 + 4 * i + 1] += u * c.y * part[4 * i + 1];
                            sum[half * 64 + 4 * i + 2] += l * c.x * part[4 * i + 2];
                            sum[half * 64 + 4 * i + 3] += l * c.y * part[4 * i + 3];
                        } else {
                            sum[half * 64 + 4 * i] += us * part[4 * i];
                            sum[half * 64 + 4 * i + 1] += us * part[4 * i + 1];
                            sum[half * 64 + 4 * i + 2] += ls * part[4 * i + 2];
                            sum[half * 64 + 4 * i + 3] += ls * part[4 * i + 3];
                        }
                    }
                }
                if (Tokens) {
                    __syncwarp();
                    if (lane == 0) barrier_arrive(empty + 8 * stage);
                }
                if (++stage == Stages) { stage = 0; phase ^= 1; }
            }
            bf16* to = out + ((Tokens ? (long long)w.group * shape.m : 0) + w.row + row) * shape.n + w.column;
            #pragma unroll
            for (int i = 0; i < 32; i += 4) {
                // Four lanes have two columns each of four eights; after an exchange each has one whole eight.
                if (w.column + 8 * i < shape.n) {
                    *(uint4*)(to + 8 * (i + quad)) = whole(sum, i, 0, quad);
                    *(uint4*)(to + 8 * (long long)shape.n + 8 * (i + quad)) = whole(sum, i, 2, quad);
                }
            }
        }
    }
}

extern "C" __global__ void __launch_bounds__(384, 1) fp8_product_rows(
    const __grid_constant__ TensorMap a, const __grid_constant__ TensorMap b, const float* scales_a, const float* scales_b, bf16* out,
    const int* groups, int m, int n, int k, int group_count, int group_x, int group_y, int square_stride) {
    product<false>(&a, &b, scales_a, scales_b, out, Shape{m, n, k, group_count, groups}, group_x, group_y, square_stride);
}

extern "C" __global__ void __launch_bounds__(384, 1) fp8_product_tokens(
    const __grid_constant__ TensorMap a, const __grid_constant__ TensorMap b, const float* scales_a, const float* scales_b, bf16* out,
    const int* groups, int m, int n, int k, int group_count) {
    product<true>(&a, &b, scales_a, scales_b, out, Shape{m, n, k, group_count, groups}, 0, 0, 0);
}
