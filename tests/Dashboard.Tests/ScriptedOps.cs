using System.Collections.Concurrent;
using System.Threading.Channels;
using Grpc.Core;

namespace DeepSeekOps.Dashboard.Tests;

/// <summary>The other end of the generated client: calls are answered by what the test says, streams by what it writes.
/// Everything above the transport is the real client.</summary>
public sealed class ScriptedOps : CallInvoker
{
    private static readonly object EndOfStream = new();

    private readonly ConcurrentDictionary<string, Func<object, object>> answers = new();
    private readonly ConcurrentDictionary<string, Channel<object>> streams = new();

    public ConcurrentQueue<(string Method, object Request)> Calls { get; } = new();

    /// <summary>Streams that are open now, by method.</summary>
    public ConcurrentDictionary<string, int> Open { get; } = new();

    public void Answer<TRequest, TReply>(string method, Func<TRequest, TReply> answer)
        where TRequest : class
        where TReply : class => answers[method] = request => answer((TRequest)request);

    public void Refuse(string method, StatusCode code, string words) =>
        answers[method] = _ => throw new RpcException(new Status(code, words));

    public void Send(string method, params object[] items)
    {
        foreach (var item in items)
        {
            Assert.True(Stream(method).Writer.TryWrite(item));
        }
    }

    /// <summary>The server has said all: the stream ends well.</summary>
    public void End(string method) => Send(method, EndOfStream);

    public void Break(string method, StatusCode code, string words) => Send(method, new RpcException(new Status(code, words)));

    public override AsyncUnaryCall<TResponse> AsyncUnaryCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request)
    {
        Assert.NotNull(options.Deadline);
        Calls.Enqueue((method.Name, request));
        return new(Reply(), Task.FromResult(new Metadata()), () => Status.DefaultSuccess, () => [], () => { });

        async Task<TResponse> Reply()
        {
            await Task.Yield();
            return answers.TryGetValue(method.Name, out var answer)
                ? (TResponse)answer(request)
                : throw new RpcException(new Status(StatusCode.Unimplemented, $"The test says nothing about {method.Name}."));
        }
    }

    public override AsyncServerStreamingCall<TResponse> AsyncServerStreamingCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request)
    {
        Open.AddOrUpdate(method.Name, 1, (_, n) => n + 1);
        Calls.Enqueue((method.Name, request));
        var reader = new Reader<TResponse>(Stream(method.Name).Reader);
        return new(reader, Task.FromResult(new Metadata()), () => Status.DefaultSuccess, () => [],
            () => Open.AddOrUpdate(method.Name, 0, (_, n) => n - 1));
    }

    public override TResponse BlockingUnaryCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request) => throw new NotSupportedException();

    public override AsyncClientStreamingCall<TRequest, TResponse> AsyncClientStreamingCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options) => throw new NotSupportedException();

    public override AsyncDuplexStreamingCall<TRequest, TResponse> AsyncDuplexStreamingCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options) => throw new NotSupportedException();

    private Channel<object> Stream(string method) => streams.GetOrAdd(method, _ => Channel.CreateUnbounded<object>());

    private sealed class Reader<T>(ChannelReader<object> items) : IAsyncStreamReader<T>
    {
        public T Current { get; private set; } = default!;

        public async Task<bool> MoveNext(CancellationToken cancellationToken)
        {
            var item = await items.ReadAsync(cancellationToken);
            if (ReferenceEquals(item, EndOfStream))
            {
                return false;
            }

            Current = item is RpcException fault ? throw fault : (T)item;
            return true;
        }
    }
}
