using System.Collections.Immutable;
using System.Text.RegularExpressions;

namespace DeepSeekOps.Decisions.Exits;

/// <summary>
/// An exception by its type: `package.SomeTimeoutError: words`, as Python, .NET, Java, JavaScript and Rust's libraries print it. Nobody can
/// list all types, but they are named by what they are for.
/// </summary>
public static partial class ExceptionType
{
    /// <summary>A type stands near the beginning of what is said.</summary>
    private const int ReadMax = 400;

    /// <summary>By words of the type's name, the closer first.</summary>
    private static readonly ImmutableArray<(string Class, Weight Weight, ImmutableArray<string> Words)> Stems =
    [
        ("cuda-out-of-memory", Weight.Cause, ["CudaOutOfMemory", "CUDAOutOfMemory", "GpuOutOfMemory", "DeviceOutOfMemory"]),
        ("host-out-of-memory", Weight.Cause, ["OutOfMemory", "MemoryError", "BadAlloc", "bad_alloc"]),
        ("checkpoint-mismatch", Weight.Exception, ["CheckpointMismatch", "StateDict"]),
        ("checkpoint-damaged", Weight.Exception, ["Checkpoint", "Unpickling", "Safetensor"]),
        ("port-in-use", Weight.Exception, ["AddressInUse", "AlreadyBound", "BindException"]),
        ("no-permission", Weight.Exception,
            ["Permission", "Forbidden", "Unauthorized", "Unauthenticated", "AccessDenied", "Credential", "Authentication",
                "Authorization",
                "TokenExpired", "ExpiredToken", "InvalidToken", "SignatureDoesNotMatch", "Security", "InvalidPassword",
                "UnauthorizedAccess", "InsufficientPrivilege"]),
        ("network", Weight.Symptom,
            ["Connect", "Socket", "Timeout", "timeout", "TimedOut", "Network", "Unreachable", "gaierror", "Rpc", "HttpRequest", "SSL",
                "Proxy", "Unavailable", "ServerDisconnected", "BrokenPipe", "RequestException", "ChunkedEncoding", "IncompleteRead",
                "ProtocolError", "OperationalError", "TooManyRequests", "RateLimit", "SlowDown", "URLError", "Zmq", "DistStore",
                "Rendezvous", "Throttl", "InternalFailure", "InternalServer"]),
        ("missing-library", Weight.Cause,
            ["ImportError", "ModuleNotFound", "DllNotFound", "ClassNotFound", "NoClassDefFound", "UnsatisfiedLink", "NoSuchMethod",
                "UnsupportedClassVersion", "PackageNotFound", "DistributionNotFound", "VersionConflict", "MissingMethod", "TypeLoad",
                "BadImageFormat"]),
        ("recipe-error", Weight.Exception,
            ["Config", "Validation", "ArgumentError", "ArgumentTypeError", "Usage", "BadParameter", "Override",
                "Schema", "Settings", "Scanner", "Option", "TOML", "Toml", "Yaml", "YAML", "Misconfiguration", "MissingMandatory"]),
        ("file-missing", Weight.Exception,
            ["NotFound", "NoSuchFile", "NoSuchKey", "NoSuchBucket", "FileMissing", "NotADirectory", "DoesNotExist", "MissingFile"]),
        ("bad-data", Weight.Exception,
            ["Decode", "Parse", "Parsing", "Json", "Arrow", "Malformed", "Corrupt", "BadZip", "BadGzip", "LZMA", "Zlib", "EndOfStream",
                "DataError", "Dataset", "Tokeniz", "Truncated", "UnidentifiedImage", "InvalidData", "BadInput", "XMLSyntax",
                "UnicodeEncode", "Deserializ", "Serialization", "Parquet", "Avro", "Format"]),
        ("disk-full", Weight.Cause, ["StorageFull", "DiskFull", "NoSpace"]),
        ("time-limit", Weight.Exception, ["TimeoutExpired", "DeadlineExceeded"]),
        ("terminated", Weight.HowEnded, ["KeyboardInterrupt", "Interrupted", "SignalException", "Cancel"]),
        ("program-error", Weight.Exception,
            ["AssertionError", "AssertionFailed", "AssertFailed", "TypeError", "AttributeError", "NameError", "IndexError", "KeyError",
                "ValueError", "SyntaxError", "IndentationError", "TabError", "NotImplemented", "ZeroDivision", "UnboundLocal",
                "Recursion",
                "StackOverflow", "InvalidCast", "DivideByZero", "NullReference", "NullPointer", "IndexOutOf", "ArrayIndex", "KeyNotFound",
                "LookupError", "ArithmeticError", "OverflowError", "UndefinedTable", "ProgrammingError", "IntegrityError",
                "ReferenceError",
                "RangeError", "BoundsError", "MethodError", "UndefVarError", "DimensionMismatch", "ClassCast", "NotSupported",
                "ArgumentException", "ArgumentNull", "ArgumentOutOfRange", "IllegalArgument", "NoSuchElement", "UnsupportedOperation",
                "CompilationError",
                "LoweringException", "InductorError", "TorchRuntimeError", "Unsupported", "InternalTorchDynamoError", "GraphBreak"]),
    ];

    /// <summary>What only wraps another, whose own line tells more.</summary>
    private static readonly ImmutableArray<string> Wrappers =
        ["CalledProcessError", "ChildFailed", "ProcessExited", "ProcessRaised", "RayTaskError", "RemoteTraceback", "TargetInvocation",
            "TypeInitialization", "AggregateException", "RetryError", "SystemExit", "BrokenProcessPool", "ExecutionException", "EOFError",
            "LoadError"];

    /// <summary>
    /// The rule of the first type in the text that is no wrapper of another, where the text begins with a type or one has a colon behind
    /// it; null: there is none.
    /// </summary>
    /// <param name="named">After a traceback's frames the first word is a type, whatever it is called.</param>
    public static (ExitRule Rule, int At, int Length, bool General)? Of(string body, bool named)
    {
        string start = body.Length <= ReadMax ? body : body[..ReadMax];
        (ExitRule Rule, int At, int Length, bool General)? wrapper = null;
        IEnumerable<Match> types = Marks.Any(m => start.Contains(m, StringComparison.Ordinal)) ? AnyType().Matches(start) : [];
        foreach (var found in types)
        {
            var (rule, general) = RuleOf(found.Value[(found.Value.LastIndexOfAny(['.', ':', '$']) + 1)..]);
            if (!ReferenceEquals(rule, Wrapper))
            {
                return (rule, found.Index, found.Length, general);
            }

            wrapper ??= (rule, found.Index, found.Length, general);
        }

        return wrapper ?? (Type().Match(start) is { Success: true } type ? Told(type.Groups["type"])
            : named && AnyName().Match(start) is { Success: true } name ? Told(name.Groups["type"]) : null);

        static (ExitRule, int, int, bool) Told(Group type)
        {
            var (rule, general) = RuleOf(type.Value[(type.Value.LastIndexOfAny(['.', ':', '$']) + 1)..]);
            return (rule, type.Index, type.Length, general);
        }
    }

    /// <summary>Whether the text begins as an exception does.</summary>
    public static bool Begins(string body) => Type().IsMatch(body.Length <= ReadMax ? body : body[..ReadMax]);

    private static (ExitRule Rule, bool General) RuleOf(string name)
    {
        if (Wrappers.Any(w => name.Contains(w, StringComparison.Ordinal)))
        {
            return (Wrapper, false);
        }

        foreach (var (@class, weight, words) in Stems)
        {
            if (words.Any(w => name.Contains(w, StringComparison.Ordinal)))
            {
                return (new ExitRule(@class, weight), @class == "program-error" && Generals.Contains(name));
            }
        }

        return (Plain, true);
    }

    private static readonly ImmutableArray<string> Marks = ["Error", "Exception", "Expired:", "Interrupt", "An error occurred ("];

    /// <summary>What anybody raises for anything, so that the words behind tell more.</summary>
    private static readonly ImmutableArray<string> Generals = ["ValueError", "AssertionError", "KeyError", "ArgumentException"];

    private static readonly ExitRule Plain = new("exception", Weight.Exception);

    private static readonly ExitRule Wrapper = new("exception", Weight.Peer);

    // "Caused by: a.b.CError: …", "---> System.IO.IOException: …", "Unhandled exception. X: …", "Exception in thread "main" X: …".
    [GeneratedRegex(@"\A[\s│|>*+-]*(?:E\s+)?(?:(?:Caused by|Unhandled exception[.:]?|Uncaught(?: exception)?|ERROR|Error|FATAL|fatal"
        + @"|what\(\)|Exception in thread ""[^""]*""|The above exception|raise|remote error|Traceback)[:.]?\s+)*"
        + @"(?<type>(?:[A-Za-z_]\w*(?:\.|::|\$))*[A-Za-z_]\w*(?:Error|Exception|Exit|Interrupt|Fault|Expired|Failure"
        + @"|error|exception|timeout|bad_alloc))"
        + @"(?=$|[:\s(.'])")]
    private static partial Regex Type();

    // Anywhere in a line a colon has to be behind it, or it is prose.
    [GeneratedRegex(@"(?<![\w./])(?:[A-Za-z_]\w{0,60}(?:\.|::|\$)){0,12}[A-Za-z]\w{0,80}(?:Error|Exception|Expired|Interrupt)(?=: |:?$)"
        + @"|(?<=An error occurred \()\w+(?=\))")]
    private static partial Regex AnyType();

    [GeneratedRegex(@"\A(?<type>[A-Za-z_][\w.]*)(?=:\s|$)")]
    private static partial Regex AnyName();
}
