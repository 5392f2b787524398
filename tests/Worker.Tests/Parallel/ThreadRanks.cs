using DeepSeekOps.Worker.Libtorch;
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
                // As ranks of one machine share its cores; libtorch keeps this per thread.
                LibtorchLoading.SetThreads(1);
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
            var sums = Meet(tensors, all =>
                tensors.Select((_, i) => all.Select(own => own[i].clone()).Aggregate((sum, next) => sum + next)).ToList());
            for (var i = 0; i < sums.Count; i++)
            {
                tensors[i].copy_(sums[i]);
            }
        }

        public int Ranks => ranks._brought.Length;

        public int Own => rank;

        public Tensor AllGather(Tensor part) => Meet(part, all => stack(all));

        public Tensor ReduceScatter(Tensor parts)
        {
            var sum = parts.clone();
            AllReduce([sum]);
            return sum.chunk(Ranks)[rank];
        }

        public Tensor AllToAll(Tensor rows, IReadOnlyList<long> sent, IReadOnlyList<long> received) =>
            Meet(rows.split([.. sent]), all => cat([.. all.Select(parts => parts[rank])]));

        public void Broadcast(Tensor tensor, int from)
        {
            using var sent = Meet(tensor, all => all[from].clone());
            tensor.copy_(sent);
        }

        public void Give(IReadOnlyList<Tensor> tensors, IReadOnlyList<int> owners)
        {
            foreach (var (tensor, owner) in tensors.Zip(owners))
            {
                Broadcast(tensor, owner);
            }
        }

        public void Send(Tensor tensor, int to) => throw new NotSupportedException("Ranks as threads have no pipeline.");

        public void Receive(Tensor into, int from) => throw new NotSupportedException("Ranks as threads have no pipeline.");

        public void Barrier() => Meet(0, _ => true);

        public long Broadcast(long value) => Meet(value, all => all[0]);

        /// <summary>Nobody goes on, and changes or frees what it brought, before all have read it.</summary>
        private TRead Meet<T, TRead>(T brought, Func<T[], TRead> read)
            where T : notnull
        {
            calls.Next();
            ranks._brought[rank] = brought;
            ranks._meeting.SignalAndWait(ended);
            var result = read(Array.ConvertAll(ranks._brought, b => (T)b));
            ranks._meeting.SignalAndWait(ended);
            return result;
        }
    }
}
