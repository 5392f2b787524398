using DeepSeekOps.Worker.Parallel;
using Xunit;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Tests.Parallel;

/// <summary>
/// Ranks of a gang as threads of the test: they meet at a barrier at each call, and add up in the order of their numbers.
/// </summary>
internal sealed class ThreadRanks(int size) : IDisposable
{
    private readonly Barrier _meeting = new(size);
    private readonly object[] _brought = new object[size];

    public void Dispose() => _meeting.Dispose();

    /// <summary>Each rank's result, in the order of the ranks; what one of them throws ends the others too.</summary>
    public T[] Run<T>(Func<int, Mesh, T> work)
    {
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        var results = new T[size];
        var failures = new List<Exception>();
        var threads = Enumerable.Range(0, size).Select(rank => new Thread(() =>
        {
            try
            {
                var calls = new Calls();
                var all = new Group(this, rank, calls, ended.Token);
                results[rank] = work(rank, new Mesh(calls, all, all, new Alone(calls), all, new Alone(calls), new Alone(calls)));
            }
            catch (Exception e)
            {
                lock (failures)
                {
                    failures.Add(e);
                }
                ended.Cancel();
            }
        })).ToList();
        threads.ForEach(t => t.Start());
        threads.ForEach(t => t.Join());
        return failures.Count == 0 ? results : throw new AggregateException(failures);
    }

    private sealed class Group(ThreadRanks ranks, int rank, Calls calls, CancellationToken ended) : IProcessGroup
    {
        public void AllReduce(IReadOnlyList<Tensor> tensors)
        {
            using var untracked = no_grad();
            using var scope = NewDisposeScope();
            var sums = tensors.Select((_, i) => Meet(tensors).Select(own => own[i].clone()).Aggregate((sum, next) => sum + next)).ToList();
            Meet(tensors);
            for (var i = 0; i < sums.Count; i++)
            {
                tensors[i].copy_(sums[i]);
            }
        }

        public int Ranks => ranks._brought.Length;

        public int Own => rank;

        public Tensor AllGather(Tensor part) => stack(Meet(part));

        public Tensor ReduceScatter(Tensor parts)
        {
            var sum = parts.clone();
            AllReduce([sum]);
            return sum.chunk(Ranks)[rank];
        }

        public Tensor AllToAll(Tensor rows, IReadOnlyList<long> sent, IReadOnlyList<long> received) =>
            cat([.. Meet(rows.split([.. sent])).Select(parts => parts[rank].clone())]);

        public void Broadcast(Tensor tensor, int from)
        {
            var sent = Meet(tensor)[from].clone();
            Meet(tensor);
            tensor.copy_(sent);
        }

        public void Send(Tensor tensor, int to) => throw new NotSupportedException("Ranks as threads have no pipeline.");

        public void Receive(Tensor into, int from) => throw new NotSupportedException("Ranks as threads have no pipeline.");

        public void Barrier() => Meet(0);

        public long Broadcast(long value) => Meet(value)[0];

        private T[] Meet<T>(T brought)
            where T : notnull
        {
            calls.Next();
            ranks._brought[rank] = brought;
            ranks._meeting.SignalAndWait(ended);
            T[] all = Array.ConvertAll(ranks._brought, b => (T)b);
            ranks._meeting.SignalAndWait(ended);
            return all;
        }
    }
}
