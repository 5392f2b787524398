// Compiled on first use by NVRTC, without headers. bfloat16 is unsigned short here: the upper half of a float.

typedef unsigned short bf16;
typedef unsigned char e4m3;

__device__ float widen(bf16 x) { return __uint_as_float((unsigned)x << 16); }

__device__ bf16 narrow(float x) { bf16 r; asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(r) : "f"(x)); return r; }

// Two floats as E4M3, rounded to nearest even, saturating at 448.
__device__ unsigned short pack(float low, float high) {
    unsigned short r;
    asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(r) : "f"(high), "f"(low));
    return r;
}

union Eight { uint4 raw; bf16 at[8]; };

__device__ Eight load(const bf16* from) { Eight v; v.raw = *(const uint4*)from; return v; }

__device__ float sigmoid(float x) { return __fdividef(1.0f, 1.0f + __expf(-x)); }

// out[row] = silu(gate[row]) * up[row] * weight[row]; one block per row, width a multiple of 8. weight may be null.
extern "C" __global__ void swiglu_forward(
    const bf16* gate, const bf16* up, long long stride, const float* weight, bf16* out, int width) {
    long long row = blockIdx.x;
    float w = weight ? weight[row] : 1.0f;
    for (int c = threadIdx.x * 8; c < width; c += blockDim.x * 8) {
        Eight g = load(gate + row * stride + c), u = load(up + row * stride + c), y;
        #pragma unroll
        for (int i = 0; i < 8; i++) {
            float x = widen(g.at[i]);
            y.at[i] = narrow(x * sigmoid(x) * widen(u.at[i]) * w);
        }
        *(uint4*)(out + row * width + c) = y.raw;
    }
}

// Gradients of the above: of gate and up (rows grad_stride apart), and of weight where there is one.
extern "C" __global__ void swiglu_backward(
    const bf16* gate, const bf16* up, long long stride, const float* weight, const bf16* grad,
    bf16* grad_gate, bf16* grad_up, float* grad_weight, int width) {
    long long row = blockIdx.x;
    float w = weight ? weight[row] : 1.0f, sum = 0.0f;
    for (int c = threadIdx.x * 8; c < width; c += blockDim.x * 8) {
        Eight g = load(gate + row * stride + c), u = load(up + row * stride + c), d = load(grad + row * width + c), dg, du;
        #pragma unroll
        for (int i = 0; i < 8; i++) {
            float x = widen(g.at[i]), y = widen(u.at[i]), z = widen(d.at[i]);
            float s = sigmoid(x), a = x * s;
            sum += z * a * y;
            du.at[i] = narrow(z * w * a);
            dg.at[i] = narrow(z * w * y * (s + a * (1.0f - s)));
        }
        *(uint4*)(grad_gate + row * stride + c) = dg.raw;
        *(uint4*)(grad_up + row * stride + c) = du.raw;
    }
    if (!grad_weight) return;
    __shared__ float warps[32];
    for (int o = 16; o; o >>= 1) sum += __shfl_xor_sync(~0u, sum, o);
    if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x == 0) {
        for (int i = 1; i < blockDim.x / 32; i++) sum += warps[i];
        grad_weight[row] = sum;
    }
}

// out[t] = sum over j < choices of rows[places[t * choices + j]]; one block per token.
extern "C" __global__ void collect_rows(const bf16* rows, const long long* places, bf16* out, int choices, int width) {
    long long token = blockIdx.x;
    for (int c = threadIdx.x * 8; c < width; c += blockDim.x * 8) {
        float sum[8] = {};
        for (int j = 0; j < choices; j++) {
            long long place = places[token * choices + j];
            if (place < 0) continue; // that choice has no row
            Eight v = load(rows + place * width + c);
            #pragma unroll
            for (int i = 0; i < 8; i++) sum[i] += widen(v.at[i]);
        }
        Eight y;
        #pragma unroll
        for (int i = 0; i < 8; i++) y.at[i] = narrow(sum[i]);
        *(uint4*)(out + token * width + c) = y.raw;
    }
}

// Rotates the last 2 * pairs numbers of each head by its place's angle (or back), copies the rest: [tokens, heads, dim], place = token % seq.
extern "C" __global__ void rotate_tail(
    const bf16* x, const float2* rotations, bf16* out, int seq, int heads, int dim, int pairs, float direction) {
    long long token = blockIdx.x;
    const float2* turn = rotations + (token % seq) * pairs;
    int keep = dim - 2 * pairs;
    for (int i = threadIdx.x * 8; i < heads * dim; i += blockDim.x * 8) {
        Eight v = load(x + token * heads * dim + i);
        int at = i % dim;
        if (at >= keep) {
            #pragma unroll
            for (int j = 0; j < 4; j++) {
                float2 r = turn[(at - keep) / 2 + j];
                float a = widen(v.at[2 * j]), b = widen(v.at[2 * j + 1]), s = r.y * direction;
                v.at[2 * j] = narrow(a * r.x - b * s);
                v.at[2 * j + 1] = narrow(a * s + b * r.x);
            }
        }
        *(uint4*)(out + token * heads * dim + i) = v.raw;
    }
}

// What a tile is multiplied by: 448 / amax, finite whatever the tile holds; and what takes it back.
__device__ float inverse(float most) { return most == 0.0f ? 1.0f : fminf(448.0f / most, 3.402823466e38f); }
__device__ float scale(float most) { return most == 0.0f ? 1.0f : most / 448.0f; }

// A square of 128 x 128 numbers as E4M3, and its transpose as E4M3; one block of 256 threads per square, 8 x 8 numbers a thread: v[r] are the
// thread's columns of its row r. Scales are amax / 448: of 1 x 128 tiles along each row of either output, or one per square. Those of tiles lie
// transposed, as [tiles, rows] and [tiles, columns]; those of squares as the squares of either output lie, with these strides (0: tiles).
__device__ void quantise_square(
    const Eight (&v)[8], long long square_row, long long square_column, e4m3* out, float* scales, e4m3* turned, float* turned_scales,
    long long rows, long long columns, int square_stride, int turned_stride, long long turned_width) {
    __shared__ __align__(16) e4m3 tile[128 * 128]; // [columns, rows]; eights of rows change places so that a warp's stores meet all banks
    __shared__ __align__(16) float by_warp[8][128];
    bool squares = square_stride > 0;
    int t = threadIdx.x, across = t % 16, down = t / 16; // columns 8 across .., rows 8 down ..
    long long row0 = square_row * 128 + 8 * down, column0 = square_column * 128 + 8 * across;
    float by_row[8], by_column[8] = {};
    #pragma unroll
    for (int r = 0; r < 8; r++) {
        float most = 0.0f;
        #pragma unroll
        for (int c = 0; c < 8; c++) {
            float size = fabsf(widen(v[r].at[c]));
            most = fmaxf(most, size);
            by_column[c] = fmaxf(by_column[c], size);
        }
        for (int o = 8; o; o >>= 1) most = fmaxf(most, __shfl_xor_sync(~0u, most, o));
        by_row[r] = most;
    }
    #pragma unroll
    for (int c = 0; c < 8; c++) {
        by_column[c] = fmaxf(by_column[c], __shfl_xor_sync(~0u, by_column[c], 16));
        if (t % 32 < 16) by_warp[t / 32][8 * across + c] = by_column[c];
    }
    __syncthreads();
    #pragma unroll
    for (int w = 0; w < 8; w++) {
        #pragma unroll
        for (int c = 0; c < 8; c++) by_column[c] = fmaxf(by_column[c], by_warp[w][8 * across + c]);
    }
    if (squares) {
        float most = 0.0f;
        #pragma unroll
        for (int c = 0; c < 8; c++) most = fmaxf(most, by_column[c]);
        for (int o = 8; o; o >>= 1) most = fmaxf(most, __shfl_xor_sync(~0u, most, o));
        #pragma unroll
        for (int i = 0; i < 8; i++) by_row[i] = by_column[i] = most;
        if (t == 0) {
            scales[square_row * square_stride + square_column] = scale(most);
            turned_scales[square_column * turned_stride + square_row] = scale(most);
        }
    } else {
        #pragma unroll
        for (int i = 0; i < 8; i++) {
            if (across == 0) scales[square_column * rows + row0 + i] = scale(by_row[i]);
            if (down == 0) turned_scales[square_row * columns + column0 + i] = scale(by_column[i]);
        }
    }
    #pragma unroll
    for (int r = 0; r < 8; r++) {
        float by = inverse(by_row[r]);
        __align__(8) unsigned short y[4];
        #pragma unroll
        for (int c = 0; c < 4; c++) y[c] = pack(widen(v[r].at[2 * c]) * by, widen(v[r].at[2 * c + 1]) * by);
        *(uint2*)(out + (row0 + r) * columns + column0) = *(uint2*)y;
    }
    #pragma unroll
    for (int c = 0; c < 8; c++) {
        float by = inverse(by_column[c]);
        __align__(8) unsigned short y[4];
        #pragma unroll
        for (int r = 0; r < 4; r++) y[r] = pack(widen(v[2 * r].at[c]) * by, widen(v[2 * r + 1].at[c]) * by);
        *(uint2*)(tile + (8 * across + c) * 128 + 8 * (down ^ across)) = *(uint2*)y;
    }
    __syncthreads();
    for (int i = t; i < 1024; i += 256) {
        int column = i / 8, piece = i % 8, odd = column / 8 & 1;
        uint4 q = *(uint4*)(tile + column * 128 + 8 * ((2 * piece ^ column / 8) & ~1));
        if (odd) q = make_uint4(q.z, q.w, q.x, q.y);
        *(uint4*)(turned + (square_column * 128 + column) * turned_width + square_row * 128 + 16 * piece) = q;
    }
}

// x [rows, columns], both multiples of 128; one block per square. Rows of turned are turned_width apart.
extern "C" __global__ void quantise(
    const bf16* x, e4m3* out, float* scales, e4m3* turned, float* turned_scales, int rows, int columns, int square_stride, int turned_stride,
    int turned_width) {
    long long row0 = blockIdx.y * 128LL + 8 * (threadIdx.x / 16), column0 = blockIdx.x * 128LL + 8 * (threadIdx.x % 16);
    Eight v[8];
    #pragma unroll
    for (int r = 0; r < 8; r++) v[r] = load(x + (row0 + r) * columns + column0);
    quantise_square(v, blockIdx.y, blockIdx.x, out, scales, turned, turned_scales, rows, columns, square_stride, turned_stride, turned_width);
}

// The same of rows sources[row] of x, zeros where that is negative, in tiles.
extern "C" __global__ void quantise_selected(
    const bf16* x, const int* sources, e4m3* out, float* scales, e4m3* turned, float* turned_scales, int rows, int columns) {
    long long row0 = blockIdx.y * 128LL + 8 * (threadIdx.x / 16), column0 = blockIdx.x * 128LL + 8 * (threadIdx.x % 16);
    Eight v[8];
    #pragma unroll
    for (int r = 0; r < 8; r++) {
        int source = sources[row0 + r];
        if (source < 0) v[r].raw = make_uint4(0, 0, 0, 0);
        else v[r] = load(x + (long long)source * columns + column0);
    }
    quantise_square(v, blockIdx.y, blockIdx.x, out, scales, turned, turned_scales, rows, columns, 0, 0, rows);
}

// silu(gate) * up * weight of gate and up side by side, [rows, 2 columns], in tiles: what swiglu_forward would write. weight may be null.
extern "C" __global__ void __launch_bounds__(256, 3) quantise_swiglu(
    const bf16* gate_up, const float* weight, e4m3* out, float* scales, e4m3* turned, float* turned_scales, int rows, int columns) {
    long long row0 = blockIdx.y * 128LL + 8 * (threadIdx.x / 16), column0 = blockIdx.x * 128LL + 8 * (threadIdx.x % 16);
    Eight v[8];
    #pragma unroll
    for (int r = 0; r < 8; r++) {
        const bf16* from = gate_up + (row0 + r) * 2 * columns + column0;
        Eight g = load(from), u = load(from + columns);
        float w = weight ? weight[row0 + r] : 1.0f;
        #pragma unroll
        for (int i = 0; i < 8; i++) {
            float x = widen(g.at[i]);
            v[r].at[i] = narrow(x * sigmoid(x) * widen(u.at[i]) * w);
        }
    }
    quantise_square(v, blockIdx.y, blockIdx.x, out, scales, turned, turned_scales, rows, columns, 0, 0, rows);
}

// A thread's share of the gradient of gate, or of up; and of weight, where that is wanted: [columns / 128, rows], what each square adds to it.
template <bool OfUp>
__device__ void swiglu_gradient(
    const bf16* gate_up, const float* weight, const bf16* grad, float* grad_weight, Eight (&v)[8], long long row0, long long column0, long long columns) {
    #pragma unroll
    for (int r = 0; r < 8; r++) {
        const bf16* from = gate_up + (row0 + r) * 2 * columns + column0;
        Eight g = load(from), d = load(grad + (row0 + r) * columns + column0), u;
        if (!OfUp) u = load(from + columns);
        float w = weight ? weight[row0 + r] : 1.0f, sum = 0.0f;
        #pragma unroll
        for (int i = 0; i < 8; i++) {
            float x = widen(g.at[i]), z = widen(d.at[i]), s = sigmoid(x), a = x * s;
            if (OfUp) {
                v[r].at[i] = narrow(z * w * a);
            } else {
                float y = widen(u.at[i]);
                sum += z * a * y;
                v[r].at[i] = narrow(z * w * y * (s + a * (1.0f - s)));
            }
        }
        if (OfUp || !grad_weight) continue;
        for (int o = 8; o; o >>= 1) sum += __shfl_xor_sync(~0u, sum, o);
        if (threadIdx.x % 16 == 0) grad_weight[row0 + r] = sum;
    }
}

// Gradients of gate and up side by side, [rows, 2 columns], in tiles: what swiglu_backward would write. Blocks 2 i and 2 i + 1 of a row make gate's
// and up's square from the same numbers, which the second finds in the cache: a block that made both would have too few registers to hide its loads.
extern "C" __global__ void __launch_bounds__(256, 3) quantise_swiglu_backward(
    const bf16* gate_up, const float* weight, const bf16* grad, e4m3* out, float* scales, e4m3* turned, float* turned_scales, float* grad_weight,
    int rows, int columns) {
    int square = blockIdx.x / 2;
    bool of_up = blockIdx.x % 2;
    long long row0 = blockIdx.y * 128LL + 8 * (threadIdx.x / 16), column0 = square * 128LL + 8 * (threadIdx.x % 16);
    Eight v[8];
    if (of_up) swiglu_gradient<true>(gate_up, weight, grad, nullptr, v, row0, column0, columns);
    else swiglu_gradient<false>(gate_up, weight, grad, grad_weight ? grad_weight + square * (long long)rows : nullptr, v, row0, column0, columns);
    quantise_square(v, blockIdx.y, square + (of_up ? columns / 128 : 0), out, scales, turned, turned_scales, rows, 2 * columns, 0, 0, rows);
}

// partial[block] = sum of squares of this block's share; the grid is fixed, so the sum has one order.
extern "C" __global__ void sum_squares(const bf16* x, float* partial, long long count) {
    float sum = 0.0f;
    for (long long i = (blockIdx.x * (long long)blockDim.x + threadIdx.x) * 8; i < count; i += gridDim.x * (long long)blockDim.x * 8) {
        if (i + 8 <= count) {
            Eight v = load(x + i);
            #pragma unroll
            for (int j = 0; j < 8; j++) sum += widen(v.at[j]) * widen(v.at[j]);
        } else {
            for (long long j = i; j < count; j++) sum += widen(x[j]) * widen(x[j]);
        }
    }
    __shared__ float warps[32];
    for (int o = 16; o; o >>= 1) sum += __shfl_xor_sync(~0u, sum, o);
    if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x == 0) {
        for (int i = 1; i < blockDim.x / 32; i++) sum += warps[i];
        partial[blockIdx.x] = sum;
    }
}

struct Adam { float factor, shrink, size, root, beta1, beta2, epsilon; };

__device__ bf16 update(const Adam& o, float& w, float& m, float& v, bf16 grad) {
    float g = widen(grad) * o.factor;
    m = o.beta1 * m + (1.0f - o.beta1) * g;
    v = o.beta2 * v + (1.0f - o.beta2) * g * g;
    w = w * o.shrink - o.size * m / (sqrtf(v) * o.root + o.epsilon);
    return narrow(w);
}

__device__ float4 four(const float* p, long long i) { return ((const float4*)p)[i]; }
__device__ float4 four(const bf16* p, long long i) {
    ushort4 v = ((const ushort4*)p)[i];
    return make_float4(widen(v.x), widen(v.y), widen(v.z), widen(v.w));
}
__device__ void put(float* p, long long i, float4 v) { ((float4*)p)[i] = v; }
__device__ void put(bf16* p, long long i, float4 v) { ((ushort4*)p)[i] = make_ushort4(narrow(v.x), narrow(v.y), narrow(v.z), narrow(v.w)); }
__device__ float one(float x) { return x; }
__device__ float one(bf16 x) { return widen(x); }
__device__ void set(float& x, float v) { x = v; }
__device__ void set(bf16& x, float v) { x = narrow(v); }

// One AdamW step with decoupled decay on float32 masters; gradients are bfloat16, times *factor; rounded gets the new bfloat16 weights.
// A factor that is NaN (the gradients' norm is not finite) changes nothing.
// Moments are float32, or bfloat16 that is widened for the update and rounded after it (report section 3.3.3).
template <typename Moment>
__device__ void adamw(
    float* weight, Moment* first, Moment* second, const bf16* grad, bf16* rounded, const float* factor, const float* step,
    float rate, float beta1, float beta2, float decay, float epsilon, long long count) {
    if (isnan(*factor)) {
        return;
    }
    float s = *step;
    Adam o = {*factor, 1.0f - rate * decay, rate / (1.0f - powf(beta1, s)), rsqrtf(1.0f - powf(beta2, s)), beta1, beta2, epsilon};
    long long at = blockIdx.x * (long long)blockDim.x + threadIdx.x, threads = gridDim.x * (long long)blockDim.x;
    for (long long i = at; i < count / 4; i += threads) {
        float4 w = four(weight, i), m = four(first, i), v = four(second, i);
        ushort4 g = ((const ushort4*)grad)[i];
        g.x = update(o, w.x, m.x, v.x, g.x);
        g.y = update(o, w.y, m.y, v.y, g.y);
        g.z = update(o, w.z, m.z, v.z, g.z);
        g.w = update(o, w.w, m.w, v.w, g.w);
        put(weight, i, w);
        put(first, i, m);
        put(second, i, v);
        ((ushort4*)rounded)[i] = g;
    }
    for (long long i = count / 4 * 4 + at; i < count; i += threads) {
        float m = one(first[i]), v = one(second[i]);
        rounded[i] = update(o, weight[i], m, v, grad[i]);
        set(first[i], m);
        set(second[i], v);
    }
}

extern "C" __global__ void adamw_float_moments(
    float* weight, float* first, float* second, const bf16* grad, bf16* rounded, const float* factor, const float* step,
    float rate, float beta1, float beta2, float decay, float epsilon, long long count) {
    adamw(weight, first, second, grad, rounded, factor, step, rate, beta1, beta2, decay, epsilon, count);
}

extern "C" __global__ void adamw_bf16_moments(
    float* weight, bf16* first, bf16* second, const bf16* grad, bf16* rounded, const float* factor, const float* step,
    float rate, float beta1, float beta2, float decay, float epsilon, long long count) {
    adamw(weight, first, second, grad, rounded, factor, step, rate, beta1, beta2, decay, epsilon, count);
}
