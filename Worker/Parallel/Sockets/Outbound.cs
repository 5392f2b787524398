using System.Threading.Channels;
using DeepSeekOps.Worker.Agent;
using DeepSeekOps.Worker.Safetensors;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Parallel.Sockets;

/// <summary>
/// Sends to single ranks on a thread of its own: whoever sends goes on computing, whether the other rank takes it yet or not.
/// </summary>
internal sealed class Outbound : IDisposable
{
    private readonly Channel<(PeerLink Link,
        Tensor Copy)> _waiting = Channel.CreateUnbounded<(PeerLink, Tensor)>(new() { SingleReader = true });
    private readonly Exchange _exchange;
    private readonly Thread _thread;
    private readonly Lock _counting = new();
    private readonly ManualResetEventSlim _idle = new(true);
    private volatile Exception? _failure;
    private int _under;

    public Outbound(Calls calls, TimeSpan limit)
    {
        _exchange = new Exchange(calls, limit);
        _thread = new Thread(Work) { IsBackground = true, Name = "to other ranks" };
        _thread.Start();
    }

    public void Send(PeerLink link, Tensor tensor)
    {
        ThrowIfFailed();
        using var untracked = no_grad();
        var copy = tensor.detach().to(CPU).contiguous();
        copy = (ReferenceEquals(copy, tensor) || tensor.device_type == DeviceType.CPU ? copy.clone() : copy).DetachFromDisposeScope();
        Count(1);
        _waiting.Writer.TryWrite((link, copy));
    }

    /// <summary>
    /// Returns once all of it has gone: whatever else is written to a connection may only follow. An abort ends the wait, since it ends the
    /// sending.
    /// </summary>
    /// <exception cref="PeerLostException">What was sent earlier did not arrive.</exception>
    public void Settle()
    {
        _idle.Wait();
        ThrowIfFailed();
    }

    /// <exception cref="PeerLostException">What was sent earlier did not arrive.</exception>
    public void ThrowIfFailed()
    {
        if (_failure is { } failure)
        {
            throw failure is PeerLostException lost ? new PeerLostException(lost.Rank, "did not take what was sent to it", lost) : failure;
        }
    }

    public void Dispose()
    {
        // What is on its way still goes: the other rank may be waiting for it.
        _waiting.Writer.TryComplete();
        _thread.Join();
        _idle.Dispose();
    }

    private void Count(int more)
    {
        lock (_counting)
        {
            _under += more;
            if (_under == 0)
            {
                _idle.Set();
            }
            else
            {
                _idle.Reset();
            }
        }
    }

    private void Work()
    {
        while (_waiting.Reader.WaitToReadAsync().AsTask().GetAwaiter().GetResult())
        {
            while (_waiting.Reader.TryRead(out var next))
            {
                using (next.Copy)
                {
                    Carry(next.Link, next.Copy);
                }
                Count(-1);
            }
        }
    }

    private void Carry(PeerLink link, Tensor copy)
    {
        if (_failure is not null)
        {
            return;
        }
        try
        {
            _exchange.Send(link, TensorMemory.Address(copy), copy.numel() * copy.element_size());
            _exchange.Run();
        }
        catch (Exception e) when (e is PeerLostException or CollectiveAbortedException)
        {
            // Told to the thread that computes, at its next call.
            _failure = e;
        }
    }
}
