using System.Globalization;

namespace DeepSeekOps.Decisions.Exits;

/// <summary>
/// Causes that have a number or a name of their own in any program and any language: errno, CUDA's results, Xid, signals, the states of
/// databases, answers of HTTP and gRPC. Each table says once what a code is; the forms in which it is printed come from it.
/// </summary>
public static partial class ExitRules
{
    /// <summary>Linux's numbers and names.</summary>
    private static ExitRule[] Errnos =>
    [
        Errno("host-out-of-memory", Weight.Cause, (12, "ENOMEM")),
        Errno("disk-full", Weight.Cause, (28, "ENOSPC")),
        Errno("quota-exceeded", Weight.Cause, (122, "EDQUOT")),
        Errno("read-only", Weight.Cause, (30, "EROFS")),
        Errno("disk-error", Weight.Cause, (5, "EIO"), (117, "EUCLEAN"), (121, "EREMOTEIO"), (123, "ENOMEDIUM"), (74, "EBADMSG")),
        Errno("storage-lost", Weight.Cause, (116, "ESTALE"), (107, "ENOTCONN"), (108, "ESHUTDOWN")),
        Errno("limit-reached", Weight.Cause, (24, "EMFILE"), (23, "ENFILE"), (27, "EFBIG")),
        Errno("limit-reached", Weight.Mention, (11, "EAGAIN")),
        Errno("port-in-use", Weight.Cause, (98, "EADDRINUSE")),
        Errno("no-permission", Weight.Mention, (13, "EACCES"), (1, "EPERM")),
        Errno("file-missing", Weight.Mention, (2, "ENOENT"), (20, "ENOTDIR")),
        Errno("program-not-found", Weight.Cause, (8, "ENOEXEC")),
        Errno("network", Weight.Symptom, (111, "ECONNREFUSED"), (104, "ECONNRESET"), (103, "ECONNABORTED"), (110, "ETIMEDOUT"),
            (113, "EHOSTUNREACH"), (101, "ENETUNREACH"), (100, "ENETDOWN"), (112, "EHOSTDOWN"), (32, "EPIPE"), (99, "EADDRNOTAVAIL"),
            (-2, "EAI_NONAME"), (-3, "EAI_AGAIN"), (-5, "EAI_NODATA")),
        Errno("gpu-broken", Weight.Cause, (133, "EHWPOISON")),
    ];

    /// <summary>Of runtime and driver, which share numbers since CUDA 10.1; older ones where they mean nothing else since.</summary>
    private static ExitRule[] CudaCodes =>
    [
        Cuda("cuda-out-of-memory", [2], "MemoryAllocation", "OUT_OF_MEMORY"),
        Cuda("gpu-broken", [39, 214, 220, 714], "ECCUncorrectable", "NvlinkUncorrectable", "HardwareStackError", "ECC_UNCORRECTABLE",
            "NVLINK_UNCORRECTABLE", "HARDWARE_STACK_ERROR", "Contained", "CONTAINED", "ExternalDevice", "EXTERNAL_DEVICE"),
        Cuda("cuda-assert", [59, 710], "Assert", "ASSERT"),
        Cuda("cuda-unusable", [8, 10, 35, 38, 48, 98, 100, 101, 200, 209, 222, 223, 301, 802, 803, 804], "InsufficientDriver", "NoDevice",
            "NO_DEVICE", "InvalidDevice", "INVALID_DEVICE", "NoKernelImageForDevice", "NO_BINARY_FOR_GPU", "InvalidKernelImage",
            "INVALID_IMAGE", "InvalidPtx", "INVALID_PTX", "UnsupportedPtxVersion", "UNSUPPORTED_PTX_VERSION", "InvalidDeviceFunction",
            "SystemDriverMismatch", "SYSTEM_DRIVER_MISMATCH", "CompatNotSupportedOnDevice", "COMPAT_NOT_SUPPORTED_ON_DEVICE",
            "SystemNotReady", "SYSTEM_NOT_READY", "NotSupported", "NOT_SUPPORTED", "StubLibrary", "STUB_LIBRARY",
            "CallRequiresNewerDriver",
            "JitCompilerNotFound", "JIT_COMPILER_NOT_FOUND"),
        Cuda("cuda-error", [3, 4, 30, 46, 74, 77, 201, 304, 400, 500, 700, 701, 702, 709, 715, 716, 717, 718, 719, 720, 805, 900, 999],
            "IllegalAddress", "ILLEGAL_ADDRESS", "LaunchFailure", "LAUNCH_FAILED", "MisalignedAddress", "MISALIGNED_ADDRESS"),
    ];

    /// <summary>NVIDIA's table of 2025: what asks for a reset, a reboot or a repair is the machine's; a restart, the work's.</summary>
    private static ExitRule[] Xids =>
    [
        Xid("gpu-broken", Weight.Cause, 46, 48, 54, 62, 64, 74, 79, 92, 94, 95, 109, 110, 119, 120, 136, 140, 142, 143, 144, 145, 146,
            147,
            148, 149, 150, 155, 156, 158, 160, 162),
        Xid("cuda-error", Weight.Cause, 8, 11, 13, 25, 31, 32, 39, 40, 41, 60, 68, 69, 80, 96, 97, 98, 99, 100, 105, 126, 139),
        // What is left of a process that ended, or news.
        Xid("cuda-error", Weight.Mild, 14, 37, 38, 43, 44, 45, 63, 66, 67, 93, 106, 107, 121, 137, 141, 152, 153, 157, 161),
        new("gpu-broken", Weight.Exception, "NVRM: Xid (*): #"),
    ];

    /// <summary>A launcher's word on how another process ended: by signal, by 128 and it, or by its negative.</summary>
    private static ExitRule[] Signals =>
    [
        Signal("segmentation-fault", Weight.Cause, 11, "SIGSEGV", "Segmentation fault"),
        Signal("bus-error", Weight.Cause, 7, "SIGBUS", "Bus error"),
        Signal("illegal-instruction", Weight.Cause, 4, "SIGILL", "Illegal instruction"),
        Signal("arithmetic-fault", Weight.Cause, 8, "SIGFPE", "Floating point exception"),
        Signal("limit-reached", Weight.Cause, 25, "SIGXFSZ", "File size limit exceeded"),
        Signal("time-limit", Weight.Cause, 24, "SIGXCPU", "CPU time limit exceeded"),
        Signal("aborted", Weight.Symptom, 6, "SIGABRT", "Aborted"),
        Signal("killed", Weight.Symptom, 9, "SIGKILL", "Killed"),
        Signal("terminated", Weight.HowEnded, 15, "SIGTERM", "Terminated"),
        Signal("terminated", Weight.HowEnded, 2, "SIGINT", "Interrupt"),
        Signal("terminated", Weight.HowEnded, 1, "SIGHUP", "Hangup"),
        new("program-not-found", Weight.Mention, "exit~code~127", "exit~status~127", "exited with~127", "exitcode~127", "exit~code~126",
            "exit~status~126", "exitcode~126"),
        new("time-limit", Weight.Mention, "exit~code~124", "exit~status~124", "exitcode~124"),
        new("container-failed", Weight.Mention, "exit~code~125", "exit~status~125", "exit~code~128"),
    ];

    /// <summary>PostgreSQL's, with five letters; Npgsql and psycopg print them before or after the words.</summary>
    private static ExitRule[] SqlStates =>
    [
        SqlState("limit-reached", Weight.Cause, "53300"),
        SqlState("disk-full", Weight.Cause, "53100"),
        SqlState("host-out-of-memory", Weight.Cause, "53200"),
        SqlState("no-permission", Weight.Cause, "28P01", "28000", "42501"),
        SqlState("read-only", Weight.Cause, "25006"),
        SqlState("disk-error", Weight.Cause, "58030", "XX001", "XX002"),
        SqlState("file-missing", Weight.Cause, "3D000", "42P01", "58P01"),
        SqlState("network", Weight.Symptom, "57P01", "57P02", "57P03", "08000", "08001", "08003", "08004", "08006"),
    ];

    /// <summary>Answers of services over the network: a right, a name, or something that passes.</summary>
    private static ExitRule[] Answers =>
    [
        new("no-permission", Weight.Mention, "401 Unauthorized", "403 Forbidden", "401 Client Error", "403 Client Error", "HTTP 401",
            "HTTP 403", "HTTP~error~401", "HTTP~error~403", "status~code~401", "status~code~403", "StatusCode~403", "StatusCode~401",
            "(403) when calling", "(401) when calling", "StatusCode~PermissionDenied", "StatusCode.PERMISSION_DENIED",
            "StatusCode~Unauthenticated", "StatusCode.UNAUTHENTICATED", "PERMISSION_DENIED:", "UNAUTHENTICATED:",
            "code = PermissionDenied", "code = Unauthenticated"),
        new("file-missing", Weight.Mention, "404 Client Error", "404 Not Found", "HTTP 404", "HTTP~error~404", "status~code~404",
            "StatusCode~404", "(404) when calling", "StatusCode~NotFound", "StatusCode.NOT_FOUND"),
        new("network", Weight.Symptom, "500 Internal Server Error", "502 Bad Gateway", "503 Service", "504 Gateway", "HTTP 500",
            "HTTP 502",
            "HTTP 503", "HTTP 504", "HTTP 429", "429 Client Error", "429 Too Many Requests", "Too Many Requests", "500 Server Error",
            "502 Server Error", "503 Server Error", "504 Server Error", "status~code~500", "status~code~502", "status~code~503",
            "status~code~504", "status~code~429", "HTTP~error~503", "HTTP~error~429", "HTTP~error~500", "HTTP~error~502",
            "DEADLINE_EXCEEDED:", "UNAVAILABLE:", "StatusCode~Unavailable", "StatusCode.UNAVAILABLE", "StatusCode~DeadlineExceeded",
            "StatusCode.DEADLINE_EXCEEDED",
            "code = Unavailable", "code = DeadlineExceeded", "StatusCode~503", "StatusCode~429"),
    ];

    private static ExitRule Errno(string @class, Weight weight, params (int Number, string Name)[] all) => new(@class, weight,
        [.. all.SelectMany(e => new[] { e.Name }.Concat(Forms(e.Number, "Errno~", "os error~", "errno is~", "error code~-"))
            .Where(p => e.Number > 0 || !p.Contains("error code", StringComparison.Ordinal)))]);

    private static ExitRule Cuda(string @class, int[] numbers, params string[] names) => new(@class, Weight.Cause,
    [
        .. names.SelectMany(n => n.Any(char.IsLower) ? new[] { $"cudaError{n}" } : [$"CUDA_ERROR_{n}"]),
        .. numbers.SelectMany(n => Forms(n, "cuda error~", "cuda runtime error~", "cuda failure~", "cuda driver error~", "cudaError_t~",
            "cudaError~", "CUresult~", "cuda error code~", "cuda runtime API error~", "THCudaCheck FAIL * error=")),
        .. numbers.SelectMany(n => Forms(n, "CUDA answered * with error ", "cuda*code=", "cuda*, error code ",
            "cuda*failed with error ")),
    ]);

    private static ExitRule Xid(string @class, Weight weight, params int[] numbers) => new(@class, weight,
        [.. numbers.SelectMany(n => Forms(n, "Xid (*): ", "Xid~", "Xid error~", "Xid errors~", "Xid code~", "Xid event~", "xid="))]);

    private static ExitRule Signal(string @class, Weight weight, int number, string name, string words) => new(@class, weight,
    [
        name, .. Forms(number, "signal~", "signal: ", "signal number~"), $"signal~{words}", $"signal: {words}",
        .. Forms(ExitCodes.Signal + number, "exit~code~", "exit~status~", "exited with~", "exited with status~", "exitcode~",
            "exited with code~", "exit value~", "return code~", "returncode~", "ExitCode~", "exited, code=exited, status="),
        .. Forms(-number, "exitcode~", "exit~code~", "exit~status~", "return code~", "returncode~", "exit status~", "code~"),
    ]);

    private static ExitRule SqlState(string @class, Weight weight, params string[] states) => new(@class, weight,
        [.. states.SelectMany(s => new[] { $"{s}: ", $"SQLSTATE~{s}", $"SqlState~{s}", $"SQL state~{s}", $"ERROR~{s}", $"FATAL~{s}" })]);

    private static IEnumerable<string> Forms(int number, params string[] before) =>
        before.Select(b => b + number.ToString(CultureInfo.InvariantCulture));
}
